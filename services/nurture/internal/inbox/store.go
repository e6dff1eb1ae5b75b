package inbox

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// store keeps the latest mails and how often each key arrived.
type store struct {
	mu       sync.Mutex
	capacity int
	mails    []*Mail // oldest first, at most capacity
	last     uint64
	copies   map[string]int
	keys     []string // keys of copies, oldest first, at most tallyFactor*capacity
	doubles  uint64
	bounced  uint64
	arrived  chan struct{} // closed at the next arrival
}

// tallyFactor says how many times longer than the mail itself its key is remembered.
const tallyFactor = 20

func newStore(capacity int) *store {
	return &store{capacity: capacity, copies: map[string]int{}, arrived: make(chan struct{})}
}

func (s *store) add(m *Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	m.ID = s.last
	m.Copies = s.count(m.Key())
	s.mails = append(s.mails, m)
	if len(s.mails) > s.capacity {
		s.mails = append([]*Mail(nil), s.mails[len(s.mails)-s.capacity:]...)
	}
	close(s.arrived)
	s.arrived = make(chan struct{})
}

func (s *store) count(key string) int {
	s.copies[key]++
	n := s.copies[key]
	if n > 1 {
		s.doubles++
		return n
	}
	s.keys = append(s.keys, key)
	if len(s.keys) > tallyFactor*s.capacity {
		delete(s.copies, s.keys[0])
		s.keys = s.keys[1:]
	}
	return n
}

// forget blanks the mails of some leads; their numbers stay taken.
func (s *store) forget(ours func(*Mail) bool) (blanked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.mails {
		if !ours(m) {
			continue
		}
		key := m.Key()
		delete(s.copies, key)
		s.keys = slices.DeleteFunc(s.keys, func(k string) bool { return k == key })
		s.mails[i] = &Mail{ID: m.ID, Subject: "(erased)", ReceivedAt: m.ReceivedAt}
		blanked++
	}
	return blanked
}

func (s *store) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bounced++
}

func (s *store) get(id uint64) (*Mail, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.last - uint64(len(s.mails)) + 1
	if id < first || id > s.last {
		return nil, false
	}
	return s.mails[id-first], true
}

// after gives the kept mails newer than id, oldest first, and the signal of the
// next arrival.
func (s *store) after(id uint64) ([]*Mail, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.last - uint64(len(s.mails)) + 1
	from := 0
	if id >= first {
		from = int(min(id-first+1, uint64(len(s.mails))))
	}
	return append([]*Mail(nil), s.mails[from:]...), s.arrived
}

// Counts are the numbers of an inbox since it started.
type Counts struct {
	// Received is how many mails arrived.
	Received uint64
	// Doubles is how many of them repeated a touch that had arrived before.
	Doubles uint64
	// Bounced is how many recipients were refused for good.
	Bounced uint64
}

func (s *store) counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Counts{Received: s.last, Doubles: s.doubles, Bounced: s.bounced}
}

// Wait gives the mails that arrived after id, oldest first, as soon as there is
// one; it returns the context's error when that ends first.
func (b *Inbox) Wait(ctx context.Context, id uint64) ([]*Mail, error) {
	for {
		mails, arrived := b.store.after(id)
		if len(mails) > 0 {
			return mails, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-arrived:
		}
	}
}

// Forget removes what was sent to leads, and says how many mails it were: a mail
// tells its lead by the id of its touch.
func (b *Inbox) Forget(leads []string) int {
	return b.store.forget(func(m *Mail) bool {
		for _, lead := range leads {
			if strings.HasPrefix(m.MessageID, lead+"-t") || strings.Contains(m.Key(), " "+lead+"-t") {
				return true
			}
		}
		return false
	})
}

// Counts gives what arrived so far.
func (b *Inbox) Counts() Counts { return b.store.counts() }
