package ledger

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// Headers of a JetStream schedule (ADR-51). The time is written by us with
// nanoseconds: rounded to seconds, a schedule fires up to a second early.
const (
	scheduleHeader       = "Nats-Schedule"
	scheduleTargetHeader = "Nats-Schedule-Target"
	scheduleTTLHeader    = "Nats-Schedule-TTL"
	// dueTTL is how long a fired wake-up is kept; a service that is down for
	// longer arms its leads again from their records.
	dueTTL = "2160h"
)

const (
	// jitterShare spreads due times over 1 % of the wait, so that no instant has
	// to wake everybody who began to wait together.
	jitterShare = 100
	maxJitter   = time.Minute
)

// clockSkew is how far the server's clock may be ahead of ours: a schedule that
// is due within it may have fired.
const clockSkew = time.Second

// pending reports whether a schedule that was armed for a time has certainly not
// fired yet. The clock is ours and not the input's: an input that is folded late
// knows nothing of what fired since it was sent.
func pending(armed *timestamppb.Timestamp, clock time.Time) bool {
	return armed != nil && armed.AsTime().After(clock.Add(clockSkew))
}

// needsArming reports whether a schedule has to be published: none is pending,
// or the pending one is too late by more than the jitter of two. One that is too
// early costs a fold, and is cheaper than publishing a schedule with every record.
func needsArming(armed *timestamppb.Timestamp, wake, now, clock time.Time) bool {
	return !pending(armed, clock) || wake.Add(2*jitter(wake, now)).Before(armed.AsTime())
}

// jitter is by how much a schedule may be later than the wake-up.
func jitter(wake, now time.Time) time.Duration {
	return min(max(wake.Sub(now), 0)/jitterShare, maxJitter)
}

// armTime is when the schedule fires: never before wake, and later by a jitter
// that depends on the lead alone.
func armTime(lead string, wake, now time.Time) time.Time {
	h := fnv.New32a()
	_, _ = h.Write([]byte(lead))
	return wake.Add(jitter(wake, now) * time.Duration(h.Sum32()%1024) / 1024)
}

// schedule builds the message that wakes a lead up; nil when its record asks
// for nothing.
func (l *Ledger[S]) schedule(lead string, rec *ledgerv1.Record) *nats.Msg {
	if rec.GetWakeAt() == nil {
		return nil
	}
	// A pending one that is too early stays: later records rely on it.
	at := rec.GetArmedAt().AsTime()
	if wake := rec.GetWakeAt().AsTime(); at.Before(wake) && !pending(rec.GetArmedAt(), l.d.Now()) {
		at = wake
	}
	return &nats.Msg{
		Subject: bus.Subject(l.o.Stream, lead, bus.KindWait),
		Header: nats.Header{
			scheduleHeader:       {"@at " + at.UTC().Format(time.RFC3339Nano)},
			scheduleTargetHeader: {bus.Subject(l.o.Stream, lead, bus.KindDue)},
			scheduleTTLHeader:    {dueTTL},
		},
	}
}

// guard makes a schedule count only while the record it derives from is the
// lead's last one: an owner that was cut off or stood still must not replace the
// wake-up that its successor has set.
func (l *Ledger[S]) guard(lead string, seq uint64, msg *nats.Msg) {
	bus.ExpectLast(msg, seq)
	msg.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{bus.Subject(l.o.Stream, lead, bus.KindState)}
}

// armRounds bounds how often a schedule is derived anew because another owner
// wrote in between.
const armRounds = 8

// arm publishes the schedules of works, before their inputs are acknowledged.
// A work whose schedule is not stored gets the error.
func (l *Ledger[S]) arm(ctx context.Context, works []*work[S]) {
	wishes := make([]wish[S], 0, len(works))
	for _, w := range works {
		switch {
		case !w.arm || w.err != nil:
		case w.rec == nil:
			wishes = append(wishes, wish[S]{w, w.ent.rec, w.ent.seq})
		default:
			wishes = append(wishes, wish[S]{w, w.rec, w.seq})
		}
	}
	for round := 0; len(wishes) > 0 && round < armRounds; round++ {
		wishes = l.armOnce(ctx, wishes)
	}
	for _, left := range wishes {
		left.work.err = fmt.Errorf("schedule wake-up: %w", errUnwritten)
	}
}

// wish is a schedule to be published: for which work, and the record and its
// sequence that it derives from; 0 for a record that is not written yet.
type wish[S proto.Message] struct {
	work *work[S]
	rec  *ledgerv1.Record
	seq  uint64
}

// armOnce publishes schedules. Those that met a newer record come back with it.
func (l *Ledger[S]) armOnce(ctx context.Context, wishes []wish[S]) (again []wish[S]) {
	var msgs []*nats.Msg
	var sent []wish[S]
	for _, v := range wishes {
		msg := l.schedule(v.work.lead, v.rec)
		if msg == nil {
			continue
		}
		if v.seq > 0 {
			l.guard(v.work.lead, v.seq, msg)
		}
		inject(v.work, msg)
		msgs, sent = append(msgs, msg), append(sent, v)
	}
	if len(msgs) == 0 {
		return nil
	}
	l.metrics.armed.Add(ctx, int64(len(msgs)), l.metrics.service)
	var stale []wish[S]
	for i, err := range l.publishAll(ctx, msgs) {
		switch err = bus.Classify(err); {
		case err == nil:
		case errors.Is(err, bus.ErrConflict):
			stale = append(stale, sent[i])
		default:
			sent[i].work.err = fmt.Errorf("schedule wake-up: %w", err)
		}
	}
	return l.renew(ctx, stale)
}

// renew gives wishes the last records of their leads.
func (l *Ledger[S]) renew(ctx context.Context, wishes []wish[S]) []wish[S] {
	if len(wishes) == 0 {
		return nil
	}
	leads := make([]string, len(wishes))
	for i, v := range wishes {
		leads[i] = v.work.lead
	}
	last, err := l.readLast(ctx, leads)
	for i, v := range wishes {
		if err != nil {
			v.work.err = fmt.Errorf("schedule wake-up: %w", err)
			continue
		}
		wishes[i].rec, wishes[i].seq = last[v.work.lead].rec, last[v.work.lead].seq
	}
	if err != nil {
		return nil
	}
	return wishes
}
