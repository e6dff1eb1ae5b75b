package sender

import "github.com/nurturehq/nurture/pkg/bus"

// Class says who goes first where mails wait for each other.
type Class int

// The classes.
const (
	// Bulk mails come by themselves; how many there are is up to programs and imports.
	Bulk Class = iota
	// Urgent mails answer what somebody did just now, who waits for them.
	Urgent
)

// queue is one of the two ways through a sender. They share nothing but the
// connections, where urgent mails go first.
type queue struct {
	durable        string
	class          Class
	kind           string
	batch, workers int
}

// urgentBatch is small and the workers are as many as the connections: an urgent
// mail on its way keeps only those waiting that came together with it.
const urgentBatch = 64

// queues are both ways: bulk mails are in the records, urgent ones in copies of
// the records that have any.
func (s *Sender) queues() []queue {
	return []queue{
		{durable: "campaign-sender", class: Bulk, kind: bus.KindState, batch: s.o.Batch, workers: s.o.Workers},
		{durable: "campaign-sender-urgent", class: Urgent, kind: bus.KindUrgent, batch: urgentBatch, workers: s.Pool.Connections()},
	}
}

// classOf is the class of a plan.
func classOf(urgent bool) Class {
	if urgent {
		return Urgent
	}
	return Bulk
}
