package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
)

const (
	// fewest is below what an atomic batch is not worth bisecting.
	fewest = 64
	// batchMax is the server's limit for one atomic batch.
	batchMax = 1000
)

// commit writes the records of works, each only if its lead's last record is
// still the one that was folded. Afterwards every work has its sequence or an
// error: bus.ErrConflict with a fresh entry to fold again, bus.ErrUnavailable,
// ErrOvertaken, or one that will not go away.
func (l *Ledger[S]) commit(ctx context.Context, works []*work[S]) {
	for len(works) > 0 {
		n, msgs := fitting(works)
		if msgs > n || l.pace.Batches(n) {
			l.commitBatch(ctx, works[:n], msgs)
		} else {
			l.commitSingles(ctx, works[:n])
		}
		works = works[n:]
	}
}

// message builds the record's message with its condition.
func (l *Ledger[S]) message(w *work[S]) *nats.Msg {
	msg := &nats.Msg{Subject: bus.Subject(l.o.Stream, w.lead, bus.KindState), Data: w.raw, Header: nats.Header{}}
	inject(w, msg)
	if w.rec.GetVersion() == 1 {
		msg.Header[bus.HeaderBorn] = []string{"1"}
	}
	if w.rec.GetTombstone() {
		msg.Header[bus.HeaderTombstone] = []string{"1"}
	}
	return bus.ExpectLast(msg, w.ent.seq)
}

// urgentCopy is the record once more, for who reads what is urgent and nothing else.
func (l *Ledger[S]) urgentCopy(w *work[S]) *nats.Msg {
	msg := &nats.Msg{Subject: bus.Subject(l.o.Stream, w.lead, bus.KindUrgent), Data: w.raw, Header: nats.Header{}}
	inject(w, msg)
	return msg
}

// commitSingles publishes one message after the other without waiting between.
func (l *Ledger[S]) commitSingles(ctx context.Context, works []*work[S]) {
	begin := l.d.Now()
	acks := make([]jetstream.PubAckFuture, len(works))
	for i, w := range works {
		w.err = nil
		if acks[i], w.err = l.d.Bus.JS.PublishMsgAsync(l.message(w)); w.err != nil {
			w.err = bus.Classify(w.err)
		}
	}
	var doubtful []*work[S]
	for i, w := range works {
		if w.err == nil {
			w.seq, w.err = await(ctx, acks[i])
		}
		if errors.Is(w.err, bus.ErrConflict) || errors.Is(w.err, bus.ErrUnavailable) {
			doubtful = append(doubtful, w)
		}
	}
	if len(doubtful) == 0 {
		l.pace.Piped(len(works), l.d.Now().Sub(begin))
	}
	l.settle(ctx, doubtful)
}

func await(ctx context.Context, ack jetstream.PubAckFuture) (uint64, error) {
	select {
	case a := <-ack.Ok():
		return a.Sequence, nil
	case err := <-ack.Err():
		return 0, bus.Classify(err)
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", bus.ErrUnavailable, ctx.Err())
	}
}

// commitBatch publishes the records as one atomic batch, each behind its escort
// and its copy: all or none is stored.
func (l *Ledger[S]) commitBatch(ctx context.Context, works []*work[S], size int) {
	msgs := make([]*nats.Msg, 0, size)
	for _, w := range works {
		w.err = nil
		for _, e := range w.escorts {
			msgs = append(msgs, e.Msgs...)
		}
		if w.copied {
			msgs = append(msgs, l.urgentCopy(w))
		}
		msgs = append(msgs, l.message(w))
		w.seq = uint64(len(msgs)) // in the batch
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, l.d.Bus.JS, msgs, jetstreamext.BatchFlowControl{AckFirst: false})
	if err == nil {
		for _, w := range works {
			w.seq += ack.Sequence - uint64(len(msgs))
		}
		return
	}
	l.metrics.batchFailures.Add(ctx, 1, l.metrics.service)
	l.afterFailedBatch(ctx, works, bus.Classify(err))
}

// afterFailedBatch finds the records that spoil a batch, so that one bad lead
// never blocks the others.
func (l *Ledger[S]) afterFailedBatch(ctx context.Context, works []*work[S], err error) {
	for _, w := range works {
		w.err = err
	}
	switch {
	case errors.Is(err, bus.ErrUnavailable):
		l.settle(ctx, works)
		return
	case len(works) == 1 && !errors.Is(err, bus.ErrConflict):
		return // it is this one
	case bus.Code(err) == bus.CodeBatchTooLarge:
		l.halve(ctx, works)
		return
	}
	for _, w := range works {
		w.err = bus.ErrConflict
	}
	l.settle(ctx, works)
	var rest []*work[S]
	for _, w := range works {
		if errors.Is(w.err, errUnwritten) {
			rest = append(rest, w)
		}
	}
	if len(rest) < len(works) {
		l.commit(ctx, rest)
		return
	}
	l.halve(ctx, works)
}

// halve tries both halves on their own, down to single publishes, which tell
// which message it is, and batches of one record with its escort.
func (l *Ledger[S]) halve(ctx context.Context, works []*work[S]) {
	if len(works) <= fewest && !slices.ContainsFunc(works, (*work[S]).accompanied) {
		l.commitSingles(ctx, works)
		return
	}
	if half := len(works) / 2; half > 0 {
		l.commit(ctx, works[:half])
		l.commit(ctx, works[half:])
	}
}

// errUnwritten: the log does not have the record, and nothing stands against it.
var errUnwritten = errors.New("record not written")

// settle looks up what became of records whose publish failed or was not
// answered: written after all, lost to a competitor (the work gets the new
// entry), or not written.
func (l *Ledger[S]) settle(ctx context.Context, works []*work[S]) {
	if len(works) == 0 {
		return
	}
	leads := make([]string, len(works))
	for i, w := range works {
		leads[i] = w.lead
	}
	last, err := l.readLast(ctx, leads)
	for _, w := range works {
		if err != nil {
			w.err = err
			continue
		}
		e := last[w.lead]
		switch {
		case e.rec.GetId() == w.rec.GetId():
			w.seq, w.err = e.seq, nil
		case e.seq != w.ent.seq:
			l.metrics.conflicts.Add(ctx, 1, l.metrics.service)
			w.ent, w.err = e, bus.ErrConflict
		case errors.Is(w.err, bus.ErrConflict):
			w.err = errUnwritten
		}
	}
	l.settleEscorts(ctx, works)
}

// publishAll stores messages that stand for themselves, in the way that is
// quicker for their number. The errors belong to the messages.
func (l *Ledger[S]) publishAll(ctx context.Context, msgs []*nats.Msg) []error {
	errs := make([]error, len(msgs))
	if l.pace.Batches(len(msgs)) {
		for start := 0; start < len(msgs); start += batchMax {
			end := min(start+batchMax, len(msgs))
			_, err := jetstreamext.PublishMsgBatch(ctx, l.d.Bus.JS, msgs[start:end], jetstreamext.BatchFlowControl{AckFirst: false})
			for i := start; i < end; i++ {
				errs[i] = err
			}
		}
		return errs
	}
	acks := make([]jetstream.PubAckFuture, len(msgs))
	for i, m := range msgs {
		acks[i], errs[i] = l.d.Bus.JS.PublishMsgAsync(m)
	}
	for i := range msgs {
		if errs[i] == nil {
			_, errs[i] = await(ctx, acks[i])
		}
	}
	return errs
}

// cacheable lists the committed records for Redis.
func cacheable[S proto.Message](works []*work[S]) []stored {
	recs := make([]stored, 0, len(works))
	for _, w := range works {
		if w.rec != nil && w.err == nil {
			recs = append(recs, stored{lead: w.lead, seq: w.seq, raw: w.raw, born: w.rec.GetVersion() == 1})
		}
	}
	return recs
}
