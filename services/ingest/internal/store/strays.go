package store

import (
	"maps"
	"sync"
)

// strays are leads whose record names an account that became part of another one.
type strays struct {
	root func(account string) string
	// found has something in it when there are strays.
	found chan struct{}

	mu    sync.Mutex
	leads map[string]string // the account that the record names, by lead
}

func newStrays(root func(string) string) strays {
	return strays{root: root, found: make(chan struct{}, 1), leads: map[string]string{}}
}

func (s *strays) consider(lead, account string) {
	if s.root(account) == account {
		return
	}
	s.mu.Lock()
	s.leads[lead] = account
	s.mu.Unlock()
	select {
	case s.found <- struct{}{}:
	default:
	}
}

// Stray has something in it when there are leads for Strays to give.
func (m *Members) Stray() <-chan struct{} { return m.strays.found }

// Strays gives, once, the leads that are to be brought to the account that theirs
// became part of, with theirs.
func (m *Members) Strays() map[string]string {
	m.strays.mu.Lock()
	defer m.strays.mu.Unlock()
	leads := maps.Clone(m.strays.leads)
	clear(m.strays.leads)
	return leads
}

// Reconsider looks at the leads of an account once more: it became part of another
// one, or one of them could not be brought there. It begins to follow the log when
// that was not begun.
func (m *Members) Reconsider(account string) {
	m.once.Do(func() { close(m.start) })
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, lead := range m.leads[account] {
		m.strays.consider(lead, account)
	}
}
