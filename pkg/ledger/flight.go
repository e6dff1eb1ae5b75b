package ledger

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
)

// flight is a pass on its way through the commit.
type flight[S proto.Message] struct {
	works []*work[S]
	ctx   context.Context //nolint:containedctx // bounds this pass alone
	end   func()
	done  chan struct{}
}

// begin groups items by lead, loads the states and folds once. It answers nil
// when there is nothing to commit.
func (ln *lane[S]) begin(ctx context.Context, items []*item) *flight[S] {
	works := group[S](items)
	if len(works) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	endSpans := ln.l.startSpans(works) //nolint:contextcheck // each work goes on in the trace of its own input
	f := &flight[S]{works: works, ctx: ctx, done: make(chan struct{}), end: func() { endSpans(); cancel() }}
	if err := ln.prepare(ctx, works); err != nil {
		ln.postpone(ctx, works, err)
		f.end()
		return nil
	}
	for _, w := range works {
		w.err = ln.l.fold(w)
	}
	return f
}

// launch commits a pass in the background; its leads are not touched until it lands.
func (ln *lane[S]) launch(f *flight[S]) {
	if f == nil {
		return
	}
	ln.flight = f
	for _, w := range f.works {
		ln.flying[w.lead] = struct{}{}
	}
	go func() {
		defer close(f.done)
		for todo := ln.round(f.ctx, f.works); len(todo) > 0; todo = ln.round(f.ctx, todo) {
			for _, w := range todo {
				w.err = ln.l.fold(w)
			}
		}
		ln.l.cache.put(cacheable(f.works))
		ln.l.arm(f.ctx, f.works)
	}()
}

// land waits for the pass that is being committed and settles its items.
func (ln *lane[S]) land() {
	f := ln.flight
	if f == nil {
		return
	}
	<-f.done
	ln.flight = nil
	clear(ln.flying)
	for _, w := range f.works {
		ln.conclude(f.ctx, w)
	}
	f.end()
	ln.acknowledge()
}

// prepare loads the states and lets the service add its view.
func (ln *lane[S]) prepare(ctx context.Context, works []*work[S]) error {
	if err := ln.load(ctx, works); err != nil {
		return err
	}
	if ln.l.o.Enrich == nil {
		return nil
	}
	var ins []*Input
	for _, w := range works {
		for _, it := range w.items {
			ins = append(ins, &it.in)
		}
	}
	return ln.l.o.Enrich(ctx, ins)
}

// round commits what was folded; it returns the works that met a newer state
// and have to be folded again.
func (ln *lane[S]) round(ctx context.Context, works []*work[S]) (again []*work[S]) {
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
	again = ln.confirm(ctx, confirm)
	ln.armCommands(ctx, write)
	began := ln.l.d.Now()
	ln.l.seal(ctx, write)
	ln.l.commit(ctx, sealedOf(write))
	if len(write) > 0 {
		ln.l.metrics.commit.Record(ctx, ln.l.d.Now().Sub(began).Seconds(), ln.l.metrics.service)
	}
	for _, w := range write {
		switch {
		case errors.Is(w.err, bus.ErrConflict), errors.Is(w.err, errUnwritten):
			again = append(again, w)
		case w.err == nil:
			w.ent.seq, w.ent.rec, w.ent.sure = w.seq, w.rec, true
		}
	}
	ln.l.metrics.committed(ctx, len(write))
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
func (ln *lane[S]) confirm(ctx context.Context, works []*work[S]) (again []*work[S]) {
	if len(works) == 0 {
		return nil
	}
	leads := make([]string, len(works))
	for i, w := range works {
		leads[i] = w.lead
	}
	last, err := ln.l.readLast(ctx, leads)
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
func (ln *lane[S]) armCommands(ctx context.Context, works []*work[S]) {
	var early []*work[S]
	for _, w := range works {
		if w.arm && w.hasCommand() {
			early = append(early, w)
		}
	}
	ln.l.arm(ctx, early)
	for _, w := range early {
		w.err = nil // published again after the commit, and reported then
	}
}
