package bus

import (
	"context"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// Stored is what became of one message: its sequence, or why it has none, which
// is ErrConflict for a condition that does not hold, or ErrUnavailable when
// nobody knows whether it was stored.
type Stored struct {
	Seq uint64
	Err error
}

// PublishAll stores messages of one stream that do not need each other, all
// conditional or with ids, in the way that is sooner for their number: one
// behind the other, each with an fsync of its own, or as atomic batches. A
// message that spoils its batch fails alone. It returns one answer for each.
func (b *Bus) PublishAll(ctx context.Context, pace *Pace, msgs []*nats.Msg) []Stored {
	stored := make([]Stored, len(msgs))
	for done := 0; done < len(msgs); {
		n := min(len(msgs)-done, scribeMax)
		if !pace.Batches(n) || !b.publishBatch(ctx, msgs[done:done+n], stored[done:done+n]) {
			b.publishEach(ctx, pace, msgs[done:done+n], stored[done:done+n])
		}
		done += n
	}
	return stored
}

// publishBatch stores all or nothing; false when each should be tried alone,
// which also tells what was stored although the answer was lost.
func (b *Bus) publishBatch(ctx context.Context, msgs []*nats.Msg, stored []Stored) bool {
	batch := make([]*nats.Msg, len(msgs))
	for i, m := range msgs {
		// The original is spared the batch headers, which must not be sent twice.
		batch[i] = &nats.Msg{Subject: m.Subject, Data: m.Data, Header: make(nats.Header, len(m.Header)+3)}
		maps.Copy(batch[i].Header, m.Header)
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, b.JS, batch, jetstreamext.BatchFlowControl{AckFirst: false})
	if err != nil {
		return false
	}
	for i := range stored {
		stored[i] = Stored{Seq: ack.Sequence - uint64(len(msgs)-1-i)} //nolint:gosec // i counts a batch
	}
	return true
}

func (b *Bus) publishEach(ctx context.Context, pace *Pace, msgs []*nats.Msg, stored []Stored) {
	began := pace.now()
	acks := make([]jetstream.PubAckFuture, len(msgs))
	for i, m := range msgs {
		var err error
		if acks[i], err = b.JS.PublishMsgAsync(m); err != nil {
			stored[i].Err = fmt.Errorf("publish %s: %w", m.Subject, Classify(err))
		}
	}
	whole := true
	for i, ack := range acks {
		if ack == nil {
			continue
		}
		if stored[i] = awaitStored(ctx, ack); stored[i].Err != nil {
			whole = false
		}
	}
	if whole {
		pace.Piped(len(msgs), pace.now().Sub(began))
	}
}

func awaitStored(ctx context.Context, ack jetstream.PubAckFuture) Stored {
	select {
	case a := <-ack.Ok():
		return Stored{Seq: a.Sequence}
	case err := <-ack.Err():
		return Stored{Err: Classify(err)}
	case <-ctx.Done():
		return Stored{Err: fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())}
	}
}
