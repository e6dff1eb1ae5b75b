package ledger

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
)

const (
	// passMax is about how many items one pass of a lane takes.
	passMax = 1000
	// roomMax bounds the items a lane has at hand before it takes no more.
	roomMax = 3 * passMax
	// drainTime bounds one pass, the last one after a stop too.
	drainTime = 10 * time.Second
	// backoffMin and backoffMax bound the wait before a failed input is tried again.
	backoffMin = 50 * time.Millisecond
	backoffMax = 5 * time.Second
)

// lane works a set of buckets: all inputs and all commands of a lead pass
// through its one goroutine, which sends them off in passes; a lead is in one
// pass at a time, so within a process it is never folded twice at once. Between
// processes the compare-and-set decides.
//
// Prompt items leave at once. Patient ones wait a moment for company while the
// lane is busy, and so do the schedules of wake-ups: a pass of many is one
// commit where many passes are many.
type lane[S proto.Message] struct {
	l  *Ledger[S]
	n  int
	in chan *item
	// cmds are commands, in groups that share a pass.
	cmds  chan []*item
	cache *lru[*entry[S]]
	feeds map[*feed]*window
	held  map[string]*holding
	// prompt and patient are at hand and not yet sent off; after are items of
	// leads that are in a pass.
	prompt, patient *dock
	after           []*item
	// unarmed are committed works whose schedules are not published yet, the first
	// of them since unarmedAt.
	unarmed   []*work[S]
	unarmedAt time.Time
	// flying are the leads that are in a pass, aloft counts the passes of each
	// kind, and landed tells which are over.
	flying map[string]struct{}
	aloft  [2]int
	landed chan *flight[S]
	// escorting counts the passes with escorts; fare is how long one takes, on average.
	escorting int
	fare      time.Duration
	tide      tide
	// stopping: nothing waits for company any more.
	stopping bool
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
		in:     make(chan *item, 2*passMax),
		cmds:   make(chan []*item, passMax),
		cache:  newLRU[*entry[S]](l.o.CacheLeads),
		feeds:  map[*feed]*window{},
		held:   map[string]*holding{},
		prompt: newDock(), patient: newDock(),
		flying: map[string]struct{}{},
		landed: make(chan *flight[S], 2*aloftMax),
	}
}

// run works until ctx ends; what is at hand then is finished.
func (ln *lane[S]) run(ctx context.Context) {
	for ln.wait(ctx) {
		ln.takeAll()
		ln.depart(ctx)
	}
	ln.finish(ctx)
}

// wait blocks until there is something to do. It never lingers over prompt
// items: an idle lane answers at once.
func (ln *lane[S]) wait(ctx context.Context) bool {
	if ctx.Err() != nil || ln.mayDepart() {
		return ctx.Err() == nil
	}
	in, cmds := ln.in, ln.cmds
	if !ln.hasRoom() {
		in, cmds = nil, nil
	}
	timer := time.NewTimer(ln.patience())
	defer timer.Stop()
	select {
	case it := <-in:
		ln.admit(it)
	case its := <-cmds:
		ln.obey(its)
	case f := <-ln.landed:
		ln.land(f)
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// takeAll takes what else is at hand.
func (ln *lane[S]) takeAll() {
	for ln.hasRoom() {
		select {
		case f := <-ln.landed:
			ln.land(f)
		case it := <-ln.in:
			ln.admit(it)
		case its := <-ln.cmds:
			ln.obey(its)
		default:
			return
		}
	}
}

func (ln *lane[S]) hasRoom() bool { return ln.prompt.n+ln.patient.n+len(ln.after) < roomMax }

// admit takes a delivered item.
func (ln *lane[S]) admit(it *item) {
	ln.feeds[it.slot.feed].add(it.slot)
	if !it.slot.done {
		ln.tide.rise(ln.l.d.Now())
		ln.route(it)
	}
}

// obey takes commands.
func (ln *lane[S]) obey(its []*item) {
	for _, it := range its {
		ln.tide.rise(ln.l.d.Now())
		ln.route(it)
	}
}

// route puts an item behind what there is of its lead: behind a pass that the
// lead is part of, behind an input that has to be tried again, or among the
// items at hand. A prompt item takes the patient ones of its lead along.
func (ln *lane[S]) route(it *item) {
	lead := it.in.Lead
	if _, busy := ln.flying[lead]; busy {
		ln.after = append(ln.after, it)
		return
	}
	if h, ok := ln.held[lead]; ok && it.cmd == nil {
		h.items = append(h.items, it)
		return
	}
	if it.patient && !ln.prompt.has(lead) && ln.busy() {
		ln.patient.add(ln.l.d.Now(), it)
		return
	}
	ln.prompt.add(ln.l.d.Now(), append(ln.patient.take(lead), it)...)
}

// ripe adds the held items whose time has come, in front of newer ones.
func (ln *lane[S]) ripe(now time.Time) {
	for lead, h := range ln.held {
		if _, busy := ln.flying[lead]; busy || h.until.After(now) {
			continue
		}
		for _, it := range h.items {
			it.tries = h.tries
		}
		later := append(ln.patient.take(lead), ln.prompt.take(lead)...)
		ln.prompt.add(now, append(h.items, later...)...)
		delete(ln.held, lead)
	}
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

// finish completes what is at hand, and answers the callers that still wait.
func (ln *lane[S]) finish(ctx context.Context) {
	ln.stopping = true
	for ln.aloft != [2]int{} || ln.prompt.n > 0 || ln.patient.n > 0 || len(ln.unarmed) > 0 {
		ln.depart(ctx)
		ln.land(<-ln.landed)
	}
	for {
		select {
		case its := <-ln.cmds:
			for _, it := range its {
				it.cmd.done <- reply{err: ErrStopped}
			}
		default:
			return
		}
	}
}

func (ln *lane[S]) busy() bool {
	return !ln.stopping && ln.tide.read(ln.l.d.Now()) > busyAbove
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
		w.escortBy(it.cmd)
	}
	return works
}
