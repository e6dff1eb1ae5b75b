package ledger

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
)

// kind tells passes of prompt items from those of patient ones.
type kind int

const (
	prompt kind = iota
	patient
)

// aloftMax is how many passes of a kind are under way at once: one is folded
// while the one before is committed.
const aloftMax = 2

// flight is a pass on its way: loaded, folded, committed and armed by a
// goroutine of its own. The lane does not touch its leads until it lands.
type flight[S proto.Message] struct {
	kind  kind
	works []*work[S]
	// arms are works of earlier passes whose schedules are published with this one.
	arms []*work[S]
	// lazy: the schedules of these works are left to a later pass.
	lazy bool
	// escorted: there are escorts among them.
	escorted bool
	began    time.Time
	ctx      context.Context //nolint:containedctx // bounds this pass alone
	end      func()
	// err: the states or views could not be read, nothing was folded.
	err error
}

// launch sends off a pass.
func (ln *lane[S]) launch(ctx context.Context, k kind, items []*item) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	f := &flight[S]{kind: k, works: group[S](items), lazy: k == prompt && ln.busy(), ctx: ctx, began: ln.l.d.Now()}
	endSpans := ln.l.startSpans(f.works) //nolint:contextcheck // each work goes on in the trace of its own input
	f.end = func() { endSpans(); cancel() }
	if k == patient {
		f.arms = ln.takeUnarmed()
	}
	ln.recall(f.works)
	for _, w := range f.works {
		ln.flying[w.lead] = struct{}{}
	}
	ln.aloft[k]++
	if f.escorted = messages(items) > len(items); f.escorted {
		ln.escorting++
	}
	go func() {
		ln.l.fly(f)
		ln.landed <- f
	}()
}

// takeUnarmed takes the works whose schedules wait, each with the last record of
// its lead that the lane knows: a schedule derives from that.
func (ln *lane[S]) takeUnarmed() []*work[S] {
	for _, w := range ln.unarmed {
		if _, busy := ln.flying[w.lead]; busy {
			continue // its record is being written, and will be met
		}
		if e, ok := ln.cache.get(w.lead); ok && e.seq > w.seq {
			w.rec, w.seq = e.rec, e.seq
		}
	}
	arms := ln.unarmed
	ln.unarmed = nil
	return arms
}

// land settles the items of a pass, and routes what came for its leads meanwhile.
func (ln *lane[S]) land(f *flight[S]) {
	ln.aloft[f.kind]--
	if f.escorted {
		ln.escorting--
		ln.fare += (ln.l.d.Now().Sub(f.began) - ln.fare) / 8
	}
	for _, w := range f.works {
		delete(ln.flying, w.lead)
	}
	if f.err != nil {
		ln.postpone(f.ctx, f.works, f.err)
	} else {
		ln.settle(f)
	}
	for _, w := range f.arms {
		ln.release(f.ctx, w)
	}
	f.end()
	after := ln.after
	ln.after = nil
	for _, it := range after {
		ln.route(it)
	}
	ln.acknowledge()
}

// fly loads the states, folds, commits, and publishes schedules.
func (l *Ledger[S]) fly(f *flight[S]) {
	if f.err = l.prepare(f.ctx, f.works); f.err == nil {
		for _, w := range f.works {
			w.err = l.fold(w)
		}
		for todo := l.round(f.ctx, f.works); len(todo) > 0; todo = l.round(f.ctx, todo) {
			for _, w := range todo {
				w.err = l.fold(w)
			}
		}
		l.cache.put(cacheable(f.works))
	}
	l.arm(f.ctx, l.arming(f))
	for _, w := range f.arms {
		if w.newer != nil {
			w.err = w.newer.err
		}
	}
}

// arming are the works whose schedules this pass publishes. Of an earlier one
// whose lead is in this pass too, only the newer record counts.
func (l *Ledger[S]) arming(f *flight[S]) []*work[S] {
	var all []*work[S]
	own := make(map[string]*work[S], len(f.works))
	for _, w := range f.works {
		if w.err == nil && f.err == nil {
			own[w.lead] = w
		}
	}
	for _, w := range f.arms {
		w.err = nil
		if w.newer = own[w.lead]; w.newer != nil {
			w.newer.arm = true
			continue
		}
		all = append(all, w)
	}
	for _, w := range own {
		if w.deferred = w.arm && f.lazy && w.mayWait(); w.arm && !w.deferred {
			all = append(all, w)
		}
	}
	return all
}

// prepare completes the states and lets the service add its view.
func (l *Ledger[S]) prepare(ctx context.Context, works []*work[S]) error {
	if err := l.load(ctx, works); err != nil {
		return err
	}
	if l.o.Enrich == nil || len(works) == 0 {
		return nil
	}
	var ins []*Input
	for _, w := range works {
		for _, it := range w.items {
			ins = append(ins, &it.in)
		}
	}
	return l.o.Enrich(ctx, ins)
}

// round commits what was folded; it returns the works that met a newer state
// and have to be folded again.
func (l *Ledger[S]) round(ctx context.Context, works []*work[S]) (again []*work[S]) {
	var write, confirm []*work[S]
	for _, w := range works {
		switch {
		case w.err != nil:
		case w.rec != nil:
			write = append(write, w)
		case !w.ent.sure:
			confirm = append(confirm, w)
		}
	}
	confirmed := make(chan []*work[S], 1)
	go func() { confirmed <- l.confirm(ctx, confirm) }()
	again = l.write(ctx, write)
	return append(again, <-confirmed...)
}

// write commits records; it returns the works that met a newer state.
func (l *Ledger[S]) write(ctx context.Context, works []*work[S]) (again []*work[S]) {
	if len(works) == 0 {
		return nil
	}
	l.armCommands(ctx, works)
	began := l.d.Now()
	l.seal(ctx, works)
	l.commit(ctx, sealedOf(works))
	l.metrics.commit.Record(ctx, l.d.Now().Sub(began).Seconds(), l.metrics.service)
	for _, w := range works {
		switch {
		case errors.Is(w.err, bus.ErrConflict), errors.Is(w.err, errUnwritten):
			again = append(again, w)
		case w.err == nil:
			w.ent.seq, w.ent.rec, w.ent.sure = w.seq, w.rec, true
			if l.o.Committed != nil {
				l.o.Committed(w.rec)
			}
			w.arrive()
		}
	}
	l.metrics.committed(ctx, len(works))
	return again
}

// sealedOf leaves out what could not be sealed, and so cannot be written.
func sealedOf[S proto.Message](works []*work[S]) []*work[S] {
	if !slices.ContainsFunc(works, func(w *work[S]) bool { return w.err != nil }) {
		return works
	}
	return slices.DeleteFunc(slices.Clone(works), func(w *work[S]) bool { return w.err != nil })
}

// confirm checks decisions to change nothing: they are not guarded by a
// compare-and-set, so the state they were made on must be the last one.
func (l *Ledger[S]) confirm(ctx context.Context, works []*work[S]) (again []*work[S]) {
	if len(works) == 0 {
		return nil
	}
	leads := make([]string, len(works))
	for i, w := range works {
		leads[i] = w.lead
	}
	last, err := l.readLast(ctx, leads)
	for _, w := range works {
		switch {
		case err != nil:
			w.err = err
		case last[w.lead].seq == w.ent.seq:
			w.ent.sure = true
		default:
			w.ent = last[w.lead]
			again = append(again, w)
		}
	}
	return again
}

// armCommands publishes the schedules of records that a command changes before
// the record: a command is not redelivered, so a crash between the two must
// leave a wake-up too many rather than none.
func (l *Ledger[S]) armCommands(ctx context.Context, works []*work[S]) {
	var early []*work[S]
	for _, w := range works {
		if w.arm && w.hasCommand() {
			early = append(early, w)
		}
	}
	l.arm(ctx, early)
	for _, w := range early {
		w.err = nil // published again after the commit, and reported then
	}
}
