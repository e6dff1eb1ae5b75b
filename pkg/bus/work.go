package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// WorkOptions describe a queue of work shared by all replicas of a service.
type WorkOptions struct {
	// Stream to read, and the durable name of the reading group.
	Stream  string
	Durable string
	// Kinds are last tokens of lead subjects in every bucket, e.g. "state".
	Kinds []string
	// Filters are whole subjects, instead of Kinds.
	Filters []string
	// Batch is how many messages at hand one call of the handler gets. Default 64.
	Batch int
	// Workers is how many handlers run at once. Default 1.
	Workers int
	// AckWait is after how long an unanswered message is given to somebody else.
	// Default 30 s; it must exceed the longest handler call.
	AckWait time.Duration
}

// Msg is one message of a work queue. Exactly one of Ack and Retry ends it.
type Msg struct {
	Subject string
	Stream  string
	// Lead, Kind and ID are the parts of a lead's subject; empty for others.
	Lead, Kind, ID string
	Seq            uint64
	// Time is when the log stored it.
	Time   time.Time
	Header nats.Header
	Data   []byte
	// Attempt counts deliveries, 1 for the first.
	Attempt int
	raw     jetstream.Msg
}

// Ack ends the message: it is done.
func (m Msg) Ack() error {
	if err := m.raw.Ack(); err != nil {
		return fmt.Errorf("acknowledge %s/%d: %w", m.Stream, m.Seq, err)
	}
	return nil
}

// Retry gives the message back, to be delivered again after a while.
func (m Msg) Retry(after time.Duration) error {
	if err := m.raw.NakWithDelay(after); err != nil {
		return fmt.Errorf("give back %s/%d: %w", m.Stream, m.Seq, err)
	}
	return nil
}

// Work hands messages to the handler until ctx ends, then returns nil after the
// handlers that run have finished and what was not begun has been given back.
// Messages of one lead may be handled at once and out of order: work must be
// idempotent. A message is redelivered for ever; whoever gives up on one parks it
// and acknowledges it.
func (b *Bus) Work(ctx context.Context, o WorkOptions, handler func(ctx context.Context, msgs []Msg)) error {
	o = o.withDefaults()
	cons, err := b.JS.CreateOrUpdateConsumer(ctx, o.Stream, jetstream.ConsumerConfig{
		Durable:        o.Durable,
		FilterSubjects: o.filters(),
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        o.AckWait,
		MaxDeliver:     -1,
		MaxAckPending:  max(1000, 4*o.Batch*o.Workers),
	})
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open work queue %s on %s: %w", o.Durable, o.Stream, Classify(err))
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(2*o.Batch*o.Workers), jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return fmt.Errorf("read work queue %s on %s: %w", o.Durable, o.Stream, err)
	}
	defer context.AfterFunc(ctx, it.Drain)()
	defer it.Stop()
	return b.work(ctx, o, it, handler)
}

// drainWithin is how long a queue that ends waits for what is on its way to it.
const drainWithin = 2 * time.Second

func (b *Bus) work(ctx context.Context, o WorkOptions, it jetstream.MessagesContext, handler func(context.Context, []Msg)) error {
	queue := make(chan Msg, o.Batch*o.Workers)
	var workers sync.WaitGroup
	for range o.Workers {
		workers.Go(func() {
			for msgs := range Batches(queue, o.Batch) {
				if ctx.Err() != nil {
					b.giveBack(msgs)
					continue
				}
				handler(ctx, msgs)
			}
		})
	}
	defer workers.Wait()
	defer close(queue)
	drained, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainWithin, stop) })()
	for {
		raw, err := it.Next(jetstream.NextContext(drained))
		switch {
		case drained.Err() != nil || errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return nil
		case err != nil:
			b.log.Warn("read work queue", "durable", o.Durable, "error", err)
			continue
		}
		msg, err := newMsg(raw)
		if err != nil {
			return err
		}
		queue <- msg
	}
}

// giveBack returns what was not begun, for somebody else to have at once and not
// only after AckWait.
func (b *Bus) giveBack(msgs []Msg) {
	for _, m := range msgs {
		if err := m.Retry(0); err != nil {
			b.log.Warn("give back work that was not begun", "stream", m.Stream, "seq", m.Seq, "error", err)
		}
	}
}

// Batches yields what is at hand in a channel, at least one and at most n at a
// time, until the channel is closed.
func Batches[T any](queue <-chan T, n int) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		for first := range queue {
			batch := append(make([]T, 0, min(n, len(queue)+1)), first)
			for more := true; more && len(batch) < n; {
				select {
				case next, ok := <-queue:
					if more = ok; ok {
						batch = append(batch, next)
					}
				default:
					more = false
				}
			}
			if !yield(batch) {
				return
			}
		}
	}
}

func newMsg(raw jetstream.Msg) (Msg, error) {
	meta, err := raw.Metadata()
	if err != nil {
		return Msg{}, fmt.Errorf("read metadata of %s: %w", raw.Subject(), err)
	}
	m := Msg{
		Subject: raw.Subject(), Stream: meta.Stream, Seq: meta.Sequence.Stream, Time: meta.Timestamp,
		Header: raw.Headers(), Data: raw.Data(), Attempt: int(meta.NumDelivered), raw: raw,
	}
	m.Lead, m.Kind, m.ID, _ = Split(m.Subject)
	return m, nil
}

func (o WorkOptions) withDefaults() WorkOptions {
	if o.Batch == 0 {
		o.Batch = 64
	}
	if o.Workers == 0 {
		o.Workers = 1
	}
	if o.AckWait == 0 {
		o.AckWait = 30 * time.Second
	}
	return o
}

func (o WorkOptions) filters() []string {
	if len(o.Filters) > 0 {
		return o.Filters
	}
	filters := make([]string, 0, len(o.Kinds))
	for _, k := range o.Kinds {
		filters = append(filters, Filter(o.Stream, "*", k))
	}
	return filters
}
