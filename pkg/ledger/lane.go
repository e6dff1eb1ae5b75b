package ledger

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
)

const (
	// passMax is how many items one pass of a lane takes.
	passMax = 1000
	// drainTime bounds the last pass after a stop.
	drainTime = 10 * time.Second
	// backoffMin and backoffMax bound the wait before a failed input is tried again.
	backoffMin = 50 * time.Millisecond
	backoffMax = 5 * time.Second
)

// lane works a set of buckets with one goroutine: all inputs and all commands
// of a lead pass through it, so within a process a lead is never folded twice at
// once. Between processes the compare-and-set decides.
type lane[S proto.Message] struct {
	l     *Ledger[S]
	n     int
	in    chan *item
	cmds  chan *item
	cache *lru[*entry[S]]
	feeds map[*feed]*window
	held  map[string]*holding
	// flight is the pass being committed, flying its leads; after are items of
	// those leads that came meanwhile.
	flight *flight[S]
	flying map[string]struct{}
	after  []*item
}

// holding is a lead whose input has to be tried again: its later inputs wait
// behind it, other leads go on.
type holding struct {
	items []*item
	until time.Time
	tries int
}

func newLane[S proto.Message](l *Ledger[S], n int) *lane[S] {
	return &lane[S]{
		l: l, n: n,
		in:    make(chan *item, 2*passMax),
		cmds:  make(chan *item, passMax),
		cache: newLRU[*entry[S]](l.o.CacheLeads),
		feeds: map[*feed]*window{},
		held:  map[string]*holding{},

		flying: map[string]struct{}{},
	}
}

// run works until ctx ends; what is at hand then is finished. While much waits,
// the next pass is folded during the commit of the one before.
func (ln *lane[S]) run(ctx context.Context) {
	for {
		items, ok := ln.collect(ctx)
		if !ok {
			ln.land()
			ln.stop()
			return
		}
		next := ln.begin(ctx, items)
		ln.land()
		ln.launch(next)
		if len(ln.in) < passMax/2 {
			ln.land()
		}
	}
}

// collect waits for something to do and takes all that is at hand. It never
// lingers: an idle lane answers at once.
func (ln *lane[S]) collect(ctx context.Context) (items []*item, ok bool) {
	late := ln.after
	ln.after = nil
	for _, it := range late {
		items = ln.route(items, it)
	}
	if len(items) == 0 {
		if items, ok = ln.wait(ctx); !ok {
			return nil, false
		}
	}
	for len(items) < passMax {
		select {
		case it := <-ln.in:
			items = ln.admit(items, it)
			continue
		case it := <-ln.cmds:
			items = ln.route(items, it)
			continue
		default:
		}
		break
	}
	return ln.ripe(items), true
}

// wait blocks until there is something to do.
func (ln *lane[S]) wait(ctx context.Context) (items []*item, ok bool) {
	timer := time.NewTimer(ln.nextRetry())
	defer timer.Stop()
	select {
	case it := <-ln.in:
		return ln.admit(items, it), true
	case it := <-ln.cmds:
		return ln.route(items, it), true
	case <-timer.C:
		return nil, true
	case <-ctx.Done():
		return nil, false
	}
}

// admit takes a delivered item.
func (ln *lane[S]) admit(items []*item, it *item) []*item {
	ln.feeds[it.slot.feed].add(it.slot)
	if it.slot.done {
		return items
	}
	return ln.route(items, it)
}

// route adds an item to the pass, behind an input of its lead that has to be
// tried again, or after the commit that its lead is part of.
func (ln *lane[S]) route(items []*item, it *item) []*item {
	if _, busy := ln.flying[it.in.Lead]; busy {
		ln.after = append(ln.after, it)
		return items
	}
	if h, ok := ln.held[it.in.Lead]; ok && it.cmd == nil {
		h.items = append(h.items, it)
		return items
	}
	return append(items, it)
}

// ripe adds the held items whose time has come, in front of newer ones.
func (ln *lane[S]) ripe(items []*item) []*item {
	now := ln.l.d.Now()
	for lead, h := range ln.held {
		if h.until.After(now) {
			continue
		}
		for _, it := range h.items {
			it.tries = h.tries
		}
		items = append(h.items, items...)
		delete(ln.held, lead)
	}
	return items
}

// nextRetry is how long the lane may sleep.
func (ln *lane[S]) nextRetry() time.Duration {
	wait := time.Hour
	now := ln.l.d.Now()
	for _, h := range ln.held {
		wait = min(wait, max(h.until.Sub(now), 0))
	}
	return wait
}

// hold sets a lead's inputs aside for a while.
func (ln *lane[S]) hold(lead string, its []*item) {
	if len(its) == 0 {
		return
	}
	tries := its[0].tries + 1
	wait := min(backoffMin<<min(tries, 10), backoffMax)
	h := &holding{items: its, tries: tries, until: ln.l.d.Now().Add(wait)}
	if old, ok := ln.held[lead]; ok {
		h.items = append(h.items, old.items...)
	}
	ln.held[lead] = h
}

// acknowledge tells the server how far each feed has come.
func (ln *lane[S]) acknowledge() {
	for f, w := range ln.feeds {
		if msg := w.finished(); msg != nil {
			if err := msg.Ack(); err != nil {
				f.log.Warn("acknowledge inputs", "stream", f.name, "error", err)
			}
		}
	}
}

// stop answers the callers that still wait.
func (ln *lane[S]) stop() {
	for {
		select {
		case it := <-ln.cmds:
			it.cmd.done <- reply{err: ErrStopped}
		default:
			return
		}
	}
}

// group gathers items by lead, both in order of arrival.
func group[S proto.Message](items []*item) []*work[S] {
	byLead := make(map[string]*work[S], len(items))
	works := make([]*work[S], 0, len(items))
	for _, it := range items {
		w := byLead[it.in.Lead]
		if w == nil {
			w = &work[S]{lead: it.in.Lead}
			byLead[it.in.Lead] = w
			works = append(works, w)
		}
		w.items = append(w.items, it)
	}
	return works
}

func (w *work[S]) hasCommand() bool {
	for _, it := range w.items {
		if it.cmd != nil {
			return true
		}
	}
	return false
}
