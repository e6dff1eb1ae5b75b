package crmdesk

import (
	"context"
	"slices"
	"sync"
	"time"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

// Case is one lead on the desk.
type Case struct {
	Lead string
	// Dossier is the latest evidence received.
	Dossier *handoffv1.Dossier
	// Handoff is the latest state known: from a webhook, an answer or a look.
	Handoff *handoffv1.Handoff
	// Events are the webhooks received, oldest first, the latest 50.
	Events []*Event
	At     time.Time
}

// store keeps the cases, each webhook once.
type store struct {
	mu       sync.Mutex
	capacity int
	cases    map[string]*Case
	order    []string // leads, the one heard of longest ago first
	seen     map[string]bool
	events   []*Event // the latest, for Wait, at most capacity
	dropped  uint64   // events no longer in events
	repeats  uint64
	arrived  chan struct{}
}

// keptEvents is how many webhooks one case remembers.
const keptEvents = 50

func newStore(capacity int) *store {
	return &store{capacity: capacity, cases: map[string]*Case{}, seen: map[string]bool{}, arrived: make(chan struct{})}
}

// add files a webhook and reports whether it is new.
func (s *store) add(e *Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[e.ID] {
		s.repeats++
		return false
	}
	s.seen[e.ID] = true
	if e.Type == typeErased {
		s.forget(e.Lead)
	} else {
		s.file(e)
	}
	s.events = append(s.events, e)
	if len(s.events) > s.capacity {
		delete(s.seen, s.events[0].ID)
		s.events = s.events[1:]
		s.dropped++
	}
	close(s.arrived)
	s.arrived = make(chan struct{})
	return true
}

// forget removes a lead from the desk. Lock held.
func (s *store) forget(lead string) {
	delete(s.cases, lead)
	s.order = slices.DeleteFunc(s.order, func(l string) bool { return l == lead })
	for i, e := range s.events {
		if e.Lead == lead {
			s.events[i] = &Event{ID: e.ID, Type: e.Type, Lead: e.Lead, At: e.At}
		}
	}
}

func (s *store) file(e *Event) {
	c := s.cases[e.Lead]
	if c == nil {
		c = &Case{Lead: e.Lead}
		s.cases[e.Lead] = c
	} else {
		s.order = slices.DeleteFunc(s.order, func(lead string) bool { return lead == e.Lead })
	}
	s.order = append(s.order, e.Lead)
	if len(s.order) > s.capacity {
		delete(s.cases, s.order[0])
		s.order = s.order[1:]
	}
	c.At = e.At
	c.Events = append(c.Events, e)
	if len(c.Events) > keptEvents {
		c.Events = slices.Clone(c.Events[1:])
	}
	if e.Dossier != nil {
		c.Dossier = e.Dossier
		if h := e.Dossier.GetHandoff(); h != nil {
			c.Handoff = h
		}
	}
}

// learn notes a newer state of a handoff.
func (s *store) learn(lead string, h *handoffv1.Handoff) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.cases[lead]; c != nil && h != nil {
		c.Handoff = h
	}
}

func (s *store) get(lead string) (Case, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cases[lead]
	if c == nil {
		return Case{}, false
	}
	return *c, true
}

// latest gives up to n cases, the newest first.
func (s *store) latest(n int) []Case {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Case, 0, min(n, len(s.order)))
	for i := len(s.order) - 1; i >= 0 && len(list) < n; i-- {
		list = append(list, *s.cases[s.order[i]])
	}
	return list
}

func (s *store) after(n uint64) ([]*Event, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := 0
	if n > s.dropped {
		from = int(min(n-s.dropped, uint64(len(s.events))))
	}
	return slices.Clone(s.events[from:]), s.arrived
}

// Counts are the numbers of a desk since it started.
type Counts struct {
	// Events is how many different webhooks arrived, Repeats how many came again.
	Events, Repeats uint64
	// Leads is how many leads are on the desk.
	Leads int
}

// Counts gives what arrived so far.
func (d *Desk) Counts() Counts {
	s := d.store
	s.mu.Lock()
	defer s.mu.Unlock()
	return Counts{Events: s.dropped + uint64(len(s.events)), Repeats: s.repeats, Leads: len(s.cases)}
}

// Wait gives the webhooks after the first n, oldest first, as soon as there is
// one; it returns the context's error when that ends first.
func (d *Desk) Wait(ctx context.Context, n uint64) ([]*Event, error) {
	for {
		events, arrived := d.store.after(n)
		if len(events) > 0 {
			return events, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-arrived:
		}
	}
}
