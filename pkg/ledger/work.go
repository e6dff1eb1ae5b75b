package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// verdict is what became of one item in a fold.
type verdict int

const (
	// changed: it is part of the new record.
	changed verdict = iota
	// same: it changes nothing.
	same
	// repeated: the state already contains it.
	repeated
	// dropped: a wake-up that the state does not ask for.
	dropped
	// early: a wake-up before its time; the schedule is set again.
	early
	// failed: the fold returned a permanent error.
	failed
	// waiting: the fold returned a passing error, or an earlier input of the
	// lead has to be tried again first.
	waiting
)

// ruling is the verdict on one item, with the reason the fold named.
type ruling struct {
	verdict verdict
	reason  string
	err     error
	// late is how long after its time a wake-up was folded.
	late time.Duration
}

// work is what one pass of a lane does for one lead.
type work[S proto.Message] struct {
	lead  string
	items []*item
	ent   *entry[S]
	// rulings belong to items, one each.
	rulings []ruling
	// rec is the new record, nil when nothing changes; seq its sequence once
	// it is committed.
	rec *ledgerv1.Record
	raw []byte
	seq uint64
	// arm: a schedule has to be published for the record's wake-up.
	arm bool
	// copied: a copy of the record goes with it, for whoever reads what is urgent.
	copied bool
	// deferred: that is left to a later pass. newer is the work of the same lead in
	// that pass, if there is one: then its schedule counts.
	deferred bool
	newer    *work[S]
	// escorts go with the record, in the same atomic batch.
	escorts []*Escort
	err     error // of the commit
	// ctx carries the trace the record belongs to; nil without one.
	ctx context.Context //nolint:containedctx // the span of this work, not of a call
}

func (w *work[S]) hasCommand() bool {
	for _, it := range w.items {
		if it.cmd != nil {
			return true
		}
	}
	return false
}

// mayWait reports whether nothing but its schedule is left to be done: nobody
// waits for an answer, and no input failed.
func (w *work[S]) mayWait() bool {
	for _, r := range w.rulings {
		if r.verdict == failed || r.verdict == waiting {
			return false
		}
	}
	return !w.hasCommand()
}

// errFoldPanic marks a fold that panicked: a bug, parked like a refusal.
var errFoldPanic = errors.New("fold panicked")

// fold applies all items of a lead in order and builds one record. An item
// whose fold fails is left out and the others are folded again without it,
// because the failed fold may have half-changed the state.
func (l *Ledger[S]) fold(w *work[S]) error {
	skip := make([]ruling, len(w.items))
	for {
		again, err := l.foldOnce(w, skip)
		if err != nil || !again {
			return err
		}
		w.ent.whole = false
	}
}

// foldOnce is one try; again means that an item failed, was noted in skip, and
// the rest must be folded anew.
func (l *Ledger[S]) foldOnce(w *work[S], skip []ruling) (again bool, err error) {
	if err := l.decode(w.ent); err != nil {
		return false, err
	}
	d := l.newDraft(w)
	for i, it := range w.items {
		if skip[i].verdict == failed || skip[i].verdict == waiting {
			w.rulings = append(w.rulings, skip[i])
			continue
		}
		r := d.apply(l, it)
		if d.forgets(r) {
			if d, err = l.forget(w, i); err != nil {
				return false, err
			}
			r = d.apply(l, it)
		}
		if r.verdict != failed && r.verdict != waiting {
			w.rulings = append(w.rulings, r)
			continue
		}
		skip[i] = r
		if r.verdict == waiting { // what comes after it of this lead waits too
			for j := i + 1; j < len(skip); j++ {
				skip[j] = r
			}
		}
		return true, nil
	}
	return false, d.finish(l, w)
}

// draft is a record being made.
type draft[S proto.Message] struct {
	state   S
	rec     *ledgerv1.Record
	prev    *ledgerv1.Record
	wake    time.Time
	now     time.Time
	clock   time.Time // ours, when the record is made: it tells which schedules fired
	changed bool
	rearm   bool
	urgent  bool
	// alone: the record was begun anew for the item that forgets the lead.
	alone bool
	size  int
}

func (l *Ledger[S]) newDraft(w *work[S]) *draft[S] {
	w.rulings, w.rec, w.raw, w.arm, w.copied = w.rulings[:0], nil, nil, false, false
	prev := w.ent.rec
	d := &draft[S]{state: w.ent.state, prev: prev, size: l.o.RecentIDs, clock: l.d.Now()}
	d.rec = &ledgerv1.Record{Version: prev.GetVersion() + 1, ArmedAt: prev.GetArmedAt()}
	for _, m := range prev.GetApplied() {
		d.rec.Applied = append(d.rec.Applied, &ledgerv1.Mark{Stream: m.GetStream(), StreamCreated: m.GetStreamCreated(), Seq: m.GetSeq()})
	}
	d.rec.RecentIds = slices.Clone(prev.GetRecentIds())
	if prev.GetWakeAt() != nil {
		d.wake = prev.GetWakeAt().AsTime()
	}
	return d
}

// apply folds one item into the draft.
func (d *draft[S]) apply(l *Ledger[S], it *item) ruling {
	if r, done := d.known(it); done {
		return r
	}
	if it.cmd != nil && it.in.Time.IsZero() {
		it.in.Time = l.d.Now().UTC().Round(0)
	}
	var late time.Duration
	if it.in.Due() {
		late = l.d.Now().Sub(d.wake)
	}
	ch, err := l.call(d.state, it.in)
	if err != nil {
		if IsTransient(err) && it.cmd == nil {
			return ruling{verdict: waiting, err: err}
		}
		return ruling{verdict: failed, err: err}
	}
	if ch.Same {
		return ruling{verdict: same, reason: ch.Reason, late: late}
	}
	if err := d.add(it, ch); err != nil {
		return ruling{verdict: failed, err: err}
	}
	return ruling{verdict: changed, reason: ch.Reason, late: late}
}

// known settles items that need no fold: repeats, and wake-ups nobody asked for.
func (d *draft[S]) known(it *item) (ruling, bool) {
	if it.cmd != nil {
		if slices.Contains(d.rec.GetRecentIds(), it.cmd.idHash) {
			return ruling{verdict: repeated}, true
		}
		return ruling{}, false
	}
	if applied(d.rec, it.from) {
		d.rearm = d.rearm || !d.wake.IsZero()
		return ruling{verdict: repeated}, true
	}
	if !it.in.Due() {
		return ruling{}, false
	}
	if d.wake.IsZero() {
		return ruling{verdict: dropped}, true
	}
	if it.in.Time.Before(d.wake) {
		d.rearm = true
		return ruling{verdict: early}, true
	}
	return ruling{}, false
}

// add makes a decision part of the draft.
func (d *draft[S]) add(it *item, ch Change[S]) error {
	cause := &ledgerv1.Cause{
		Stream: it.from.stream, Seq: it.from.seq, Kind: it.in.Kind, Now: timestamppb.New(it.in.Time),
		View: it.in.View, Reason: ch.Reason, Events: uint32(len(ch.Events)), //nolint:gosec // a fold emits a handful
	}
	for _, e := range ch.Events {
		raw, err := encode(e)
		if err != nil {
			return err
		}
		d.rec.Events = append(d.rec.Events, raw)
	}
	if ch.Tombstone {
		d.rec.RecentIds = nil
	}
	if it.cmd != nil {
		cause.Id, cause.Command = it.in.ID, it.in.Data
		d.rec.RecentIds = remember(d.rec.RecentIds, it.cmd.idHash, d.size)
	} else {
		d.rec.Applied = advance(d.rec.Applied, it.from)
	}
	d.rec.Causes = append(d.rec.Causes, cause)
	d.state, d.wake, d.now, d.changed = ch.State, ch.WakeAt, it.in.Time, true
	d.rec.Tombstone, d.urgent = d.rec.GetTombstone() || ch.Tombstone, d.urgent || ch.Urgent
	return nil
}

// forgets reports whether the item just applied forgot the lead, and others
// before it are in the same record.
func (d *draft[S]) forgets(r ruling) bool {
	return r.verdict == changed && d.rec.GetTombstone() && len(d.rec.GetCauses()) > 1 && !d.alone
}

// forget begins the record anew with the item that forgets the lead: what came
// before it in the same record is not worth a trace.
func (l *Ledger[S]) forget(w *work[S], n int) (*draft[S], error) {
	rulings := append([]ruling(nil), w.rulings[:n]...)
	w.ent.whole = false
	if err := l.decode(w.ent); err != nil {
		return nil, err
	}
	d := l.newDraft(w)
	d.rec.RecentIds, d.alone, w.rulings = nil, true, rulings
	for _, it := range w.items[:n] {
		if it.cmd == nil && !applied(d.rec, it.from) {
			d.rec.Applied = advance(d.rec.GetApplied(), it.from)
		}
	}
	return d, nil
}

// finish completes the record.
func (d *draft[S]) finish(l *Ledger[S], w *work[S]) error {
	if !d.changed {
		w.arm = d.rearm
		return nil
	}
	var err error
	if d.rec.State, err = encode(d.state); err != nil {
		return err
	}
	d.rec.Id = nuid.Next()
	w.arm = d.rearm
	if !d.wake.IsZero() {
		d.rec.WakeAt = timestamppb.New(d.wake)
		if needsArming(d.rec.GetArmedAt(), d.wake, d.now, d.clock) {
			d.rec.ArmedAt = timestamppb.New(armTime(w.lead, d.wake, d.now))
			w.arm = true
		}
	}
	if l.o.Codec == nil { // with one it is sealed first
		if w.raw, err = encode(d.rec); err != nil {
			return err
		}
	}
	w.ent.state, w.rec, w.copied = d.state, d.rec, d.urgent && l.o.UrgentCopies
	return nil
}

// call runs the fold; a panic in it is one lead's problem, not the lane's.
func (l *Ledger[S]) call(state S, in Input) (ch Change[S], err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w on %s: %v", errFoldPanic, in.Kind, p)
		}
	}()
	return l.o.Fold(state, in, in.Time)
}
