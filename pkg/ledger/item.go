package ledger

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"

	"github.com/nurturehq/nurture/pkg/bus"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// item is one input on its way through a lane: a message of a feed, or a command.
type item struct {
	in     Input
	header nats.Header
	// from is the position in the stream it was read from; empty for a command.
	from position
	slot *slot
	cmd  *command
	// patient: it may wait a moment for company.
	patient bool
	// tries counts the failed attempts of this process.
	tries int
}

// position is a place in one incarnation of a stream: a sequence means
// something only together with the stream's creation time.
type position struct {
	stream  string
	created uint64
	seq     uint64
}

// command is a caller waiting for its answer.
type command struct {
	span   trace.SpanContext
	idHash uint64
	// newborn: the caller believes that the lead has no record yet.
	newborn bool
	escort  *Escort
	done    chan reply
}

// newborn reports whether the item is most likely the first of its lead here.
func (it *item) newborn() bool {
	return it.cmd != nil && it.cmd.newborn || it.header.Get(bus.HeaderBorn) != ""
}

// reply is a Result whose state is still encoded: whoever asked decodes it, and
// the lane goes on.
type reply struct {
	seq       uint64
	rec       *ledgerv1.Record // nil: the lead has none
	reason    string
	duplicate bool
	err       error
}

// HashID folds an id of a command into the 64 bits a record remembers it by.
func HashID(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return h.Sum64()
}

// message is what feeds and Verify both have: a stored message and its place.
type message struct {
	subject string
	header  nats.Header
	data    []byte
	time    time.Time
	from    position
}

// newItem turns a stored message into an input. A redriven one becomes what it
// was when it was first read, at a new position of the own stream.
func newItem(m message) (*item, error) {
	subject, stream, now := m.subject, m.from.stream, m.time
	lead, kind, id, ok := bus.Split(subject)
	if ok && kind == bus.KindRedrive {
		var err error
		subject, stream = m.header.Get(bus.HeaderRedriveSubject), m.header.Get(bus.HeaderRedriveStream)
		if now, err = time.Parse(time.RFC3339Nano, m.header.Get(bus.HeaderRedriveTime)); err != nil {
			return nil, fmt.Errorf("read time of redriven input %s/%d: %w", m.from.stream, m.from.seq, err)
		}
		lead, kind, id, ok = bus.Split(subject)
	}
	if !ok {
		return nil, fmt.Errorf("input %s/%d: subject %q is not about a lead", m.from.stream, m.from.seq, subject)
	}
	in := Input{Lead: lead, Stream: stream, Seq: m.from.seq, Kind: kind, ID: id, Time: now.UTC(), Data: m.data}
	in.Tombstone = m.header.Get(bus.HeaderTombstone) != ""
	return &item{in: in, header: m.header, from: m.from}, nil
}

func fromDelivery(msg jetstream.Msg, meta *jetstream.MsgMetadata, created uint64) message {
	return message{
		subject: msg.Subject(), header: msg.Headers(), data: msg.Data(), time: meta.Timestamp,
		from: position{stream: meta.Stream, created: created, seq: meta.Sequence.Stream},
	}
}

func fromRaw(raw *jetstream.RawStreamMsg, stream string, created uint64) message {
	return message{
		subject: raw.Subject, header: raw.Header, data: raw.Data, time: raw.Time,
		from: position{stream: stream, created: created, seq: raw.Sequence},
	}
}

// applied reports whether a record's state already contains an input.
func applied(rec *ledgerv1.Record, p position) bool {
	for _, m := range rec.GetApplied() {
		if m.GetStream() == p.stream {
			return m.GetStreamCreated() == p.created && p.seq <= m.GetSeq()
		}
	}
	return false
}

// advance moves the mark of an input's stream; marks are kept in the order the
// streams were first seen.
func advance(marks []*ledgerv1.Mark, p position) []*ledgerv1.Mark {
	for _, m := range marks {
		if m.GetStream() == p.stream {
			m.StreamCreated, m.Seq = p.created, p.seq
			return marks
		}
	}
	return append(marks, &ledgerv1.Mark{Stream: p.stream, StreamCreated: p.created, Seq: p.seq})
}

// remember adds an id to the ring of recent ones.
func remember(ring []uint64, id uint64, size int) []uint64 {
	ring = append(ring, id)
	if len(ring) > size {
		ring = ring[len(ring)-size:]
	}
	return ring
}
