package crm

import "sync"

// remembered is how many leads whose receivers were told to forget them are
// remembered: those whose older deliveries may still be under way.
const remembered = 10_000

// turns lets one attempt of a lead happen at a time, and knows of whom this
// process told the receiver to forget.
type turns struct {
	mu        sync.Mutex
	leads     map[string]*turn
	forgotten map[string]bool
	order     []string // of forgotten, the oldest first
}

// turn is a lead's, while somebody has it or waits for it.
type turn struct {
	sync.Mutex
	wanted int
}

// take waits for a lead's turn. It says whether the receiver was told to forget
// the lead in an earlier turn, and how to end this one; forgets is whether this
// attempt tells that.
func (t *turns) take(lead string, forgets bool) (forgotten bool, end func()) {
	own := t.want(lead)
	own.Lock()
	t.mu.Lock()
	defer t.mu.Unlock()
	forgotten = t.forgotten[lead]
	if forgets && !forgotten {
		t.remember(lead)
	}
	return forgotten, func() {
		own.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if own.wanted--; own.wanted == 0 {
			delete(t.leads, lead)
		}
	}
}

func (t *turns) want(lead string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leads == nil {
		t.leads, t.forgotten = map[string]*turn{}, map[string]bool{}
	}
	own := t.leads[lead]
	if own == nil {
		own = &turn{}
		t.leads[lead] = own
	}
	own.wanted++
	return own
}

// remember notes a lead, and lets go of the oldest when there are too many. Lock
// held.
func (t *turns) remember(lead string) {
	t.forgotten[lead] = true
	t.order = append(t.order, lead)
	if len(t.order) > remembered {
		delete(t.forgotten, t.order[0])
		t.order = t.order[1:]
	}
}
