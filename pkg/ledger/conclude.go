package ledger

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// settle concludes the works of a pass. Those whose schedules are left to a
// later pass are done but for the acknowledgement of their inputs.
func (ln *lane[S]) settle(f *flight[S]) {
	now := ln.l.d.Now()
	for _, w := range f.works {
		if w.err != nil {
			ln.giveBack(f.ctx, w)
			continue
		}
		ln.cache.put(w.lead, w.ent)
		for i, it := range w.items {
			ln.l.metrics.ruled(f.ctx, it, w.rulings[i], now)
		}
		if w.deferred {
			ln.postponeArming(w)
			continue
		}
		ln.conclude(f.ctx, w)
	}
}

// postponeArming leaves a schedule to a later pass. The lead may be in other passes
// until then, and its entry changes: what the schedule derives from is kept.
func (ln *lane[S]) postponeArming(w *work[S]) {
	if w.rec == nil {
		w.rec, w.seq = w.ent.rec, w.ent.seq
	}
	if len(ln.unarmed) == 0 {
		ln.unarmedAt = ln.l.d.Now()
	}
	ln.unarmed = append(ln.unarmed, w)
}

// release ends a work whose schedule was left over from an earlier pass.
func (ln *lane[S]) release(ctx context.Context, w *work[S]) {
	if w.err != nil {
		ln.giveBack(ctx, w)
		return
	}
	ln.conclude(ctx, w)
}

// conclude settles the items of a work: callers get their answers, failures
// are parked or tried again, and what is done may be acknowledged.
func (ln *lane[S]) conclude(ctx context.Context, w *work[S]) {
	var wait []*item
	for i, it := range w.items {
		r := w.rulings[i]
		switch {
		case it.cmd != nil:
			it.cmd.done <- ln.answer(w, r)
		case r.verdict == waiting:
			wait = append(wait, it)
		case r.verdict == failed:
			if !ln.park(ctx, it, r.err) {
				wait = append(wait, it)
				continue
			}
			it.slot.done = true
		default:
			it.slot.done = true
		}
	}
	ln.hold(w.lead, wait)
}

func (ln *lane[S]) answer(w *work[S], r ruling) reply {
	if r.verdict == failed || r.verdict == waiting {
		return reply{err: r.err}
	}
	return reply{seq: w.ent.seq, rec: w.ent.rec, reason: r.reason, duplicate: r.verdict == repeated}
}

// giveBack handles a work that could not be committed. A log that does not
// answer is waited for; anything else would fail again and is parked.
func (ln *lane[S]) giveBack(ctx context.Context, w *work[S]) {
	ln.cache.remove(w.lead)
	ln.l.cache.doubt(w.lead)
	passing := errors.Is(w.err, bus.ErrUnavailable) || errors.Is(w.err, errUnwritten) || ctx.Err() != nil
	var wait []*item
	for _, it := range w.items {
		switch {
		case it.cmd != nil:
			it.cmd.done <- reply{err: unavailable(w.err, passing)}
		case passing || !ln.park(ctx, it, w.err):
			wait = append(wait, it)
		default:
			it.slot.done = true
		}
	}
	ln.hold(w.lead, wait)
}

func unavailable(err error, passing bool) error {
	if passing {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// postpone puts a whole pass off because the states or views could not be read.
func (ln *lane[S]) postpone(ctx context.Context, works []*work[S], err error) {
	ln.l.d.Log.Warn("inputs wait", "service", ln.l.o.Service, "leads", len(works), "error", err)
	ln.l.metrics.postponed.Add(ctx, int64(len(works)), ln.l.metrics.service)
	for _, w := range works {
		var wait []*item
		for _, it := range w.items {
			if it.cmd != nil {
				it.cmd.done <- reply{err: unavailable(err, true)}
				continue
			}
			wait = append(wait, it)
		}
		ln.hold(w.lead, wait)
	}
}

// park stores an input that cannot be processed where a person sees it;
// false when not even that was possible and it has to be tried again.
func (ln *lane[S]) park(ctx context.Context, it *item, cause error) bool {
	m := message{subject: originalSubject(it), header: it.header, data: it.in.Data, time: it.in.Time, from: it.from}
	if err := ln.l.parkMessage(ctx, m, it.in.Lead, parkCause{reason: bus.ReasonRefused, err: cause, tries: it.tries + 1}); err != nil {
		ln.l.d.Log.Error("park input", "service", ln.l.o.Service, "lead_id", it.in.Lead, "error", err)
		return false
	}
	return true
}

// originalSubject is where a redriven input was first read.
func originalSubject(it *item) string {
	if s := it.header.Get(bus.HeaderRedriveSubject); s != "" {
		return s
	}
	return bus.Subject(it.in.Stream, it.in.Lead, it.in.Kind, idTokens(it.in.ID)...)
}

func idTokens(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}

// parkCause is why and after how many tries.
type parkCause struct {
	reason string
	err    error
	tries  int
}

func (l *Ledger[S]) parkMessage(ctx context.Context, m message, lead string, c parkCause) error {
	return l.d.Bus.Park(ctx, &ledgerv1.Parked{
		Service: l.o.Service, LeadId: lead, Stream: m.from.stream, Seq: m.from.seq, Subject: m.subject,
		Headers: bus.FlatHeader(m.header), Data: m.data, Reason: c.reason, Error: c.err.Error(),
		Attempts: uint32(c.tries), MessageTime: timestamppb.New(m.time), //nolint:gosec // a small count
	})
}
