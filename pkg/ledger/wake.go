package ledger

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/nats-io/nats.go"
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
// or the pending one is too late. One that is too early costs a fold, and is
// cheaper than publishing a schedule with every record.
func needsArming(armed *timestamppb.Timestamp, wake, clock time.Time) bool {
	return !pending(armed, clock) || wake.Before(armed.AsTime())
}

// armTime is when the schedule fires: never before wake, and later by a jitter
// that depends on the lead alone.
func armTime(lead string, wake, now time.Time) time.Time {
	span := min(max(wake.Sub(now), 0)/jitterShare, maxJitter)
	h := fnv.New32a()
	_, _ = h.Write([]byte(lead))
	return wake.Add(span * time.Duration(h.Sum32()%1024) / 1024)
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

// arm publishes the schedules of works, before their inputs are acknowledged.
// A work whose schedule is not stored gets the error.
func (l *Ledger[S]) arm(ctx context.Context, works []*work[S]) {
	var msgs []*nats.Msg
	var owners []*work[S]
	for _, w := range works {
		if !w.arm || w.err != nil {
			continue
		}
		rec := w.rec
		if rec == nil {
			rec = w.ent.rec
		}
		if msg := l.schedule(w.lead, rec); msg != nil {
			inject(w, msg)
			msgs, owners = append(msgs, msg), append(owners, w)
		}
	}
	if len(msgs) == 0 {
		return
	}
	l.metrics.armed.Add(ctx, int64(len(msgs)), l.metrics.service)
	for i, err := range l.publishAll(ctx, msgs) {
		if err != nil {
			owners[i].err = fmt.Errorf("schedule wake-up: %w", bus.Classify(err))
		}
	}
}
