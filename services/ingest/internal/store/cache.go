package store

import (
	"sync"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// browserTTL is how long an anonymous or user id is believed to be where it
// was: another replica may have given it to somebody else. All other claims
// hold for ever.
const browserTTL = time.Minute

type cached struct {
	identity.Entry
	read time.Time
}

// cache remembers the latest claims, at most size of them: when the young half
// is full it becomes the old half, and what nobody asked for again is dropped.
type cache struct {
	mu         sync.Mutex
	half       int
	young, old map[identity.Key]cached
	now        func() time.Time
}

func newCache(size int, now func() time.Time) *cache {
	return &cache{half: max(size/2, 1), young: map[identity.Key]cached{}, now: now}
}

// get fills into with the keys that are remembered and returns the others.
func (c *cache) get(keys []identity.Key, into map[identity.Key]identity.Entry) (unknown []identity.Key) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range keys {
		e, ok := c.young[k]
		if !ok {
			if e, ok = c.old[k]; ok {
				c.add(k, e)
			}
		}
		if !ok || stale(k, e, now) {
			unknown = append(unknown, k)
			continue
		}
		into[k] = e.Entry
	}
	return unknown
}

func stale(k identity.Key, e cached, now time.Time) bool {
	return k.Kind != identity.Email && k.Kind != identity.External && now.Sub(e.read) > browserTTL
}

func (c *cache) put(k identity.Key, e identity.Entry) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(k, cached{Entry: e, read: now})
}

func (c *cache) drop(k identity.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, k)
	delete(c.old, k)
}

func (c *cache) add(k identity.Key, e cached) {
	if len(c.young) >= c.half {
		c.young, c.old = make(map[identity.Key]cached, c.half), c.young
	}
	c.young[k] = e
}

// introduced remembers leads that were given an e-mail address or a user id
// whose record may still be on its way. Bounded like cache.
type introduced struct {
	mu         sync.Mutex
	half       int
	young, old map[string]identity.Held
}

func newIntroduced(size int) *introduced {
	return &introduced{half: max(size/2, 1), young: map[string]identity.Held{}}
}

func (s *introduced) note(lead string, kind identity.Kind) {
	if kind != identity.Email && kind != identity.User {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= s.half {
		s.young, s.old = map[string]identity.Held{}, s.young
	}
	h := s.lookup(lead)
	h.Email = h.Email || kind == identity.Email
	h.User = h.User || kind == identity.User
	s.young[lead] = h
}

// complete adds what is remembered of a lead to what was read of it.
func (s *introduced) complete(lead string, read identity.Held) identity.Held {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := s.lookup(lead)
	read.Email, read.User = read.Email || more.Email, read.User || more.User
	return read
}

func (s *introduced) lookup(lead string) identity.Held {
	if h, ok := s.young[lead]; ok {
		return h
	}
	return s.old[lead]
}
