package rpc

import (
	"sync"
	"time"
)

// A caller may be wrong wrongBurst times at once, and then once every wrongPause.
const (
	wrongBurst = 10
	wrongPause = 6 * time.Second
	// wrongMost bounds how many addresses are remembered.
	wrongMost = 4096
)

// guesses slows down whoever sends wrong tokens, by address. A right token is
// always served: nobody can shut out others who come through the same proxy, and
// no number of guesses finds 32 random bytes.
type guesses struct {
	mu   sync.Mutex
	free map[string]time.Time // when an address will have a full allowance again
}

// wrong notes a wrong token, and says how long its sender must wait before the
// next one is looked at; 0: it has been looked at.
func (g *guesses) wrong(addr string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.free == nil {
		g.free = map[string]time.Time{}
	}
	free := g.free[addr]
	if free.Before(now) {
		free = now
	}
	if wait := free.Sub(now) - (wrongBurst-1)*wrongPause; wait > 0 {
		return wait
	}
	if len(g.free) >= wrongMost {
		g.forget(now)
	}
	g.free[addr] = free.Add(wrongPause)
	return 0
}

// forget makes room: whoever has been quiet long enough goes, and when nobody
// has, everybody, which costs a flood one more burst each.
func (g *guesses) forget(now time.Time) {
	for addr, free := range g.free {
		if !free.After(now) {
			delete(g.free, addr)
		}
	}
	if len(g.free) >= wrongMost {
		clear(g.free)
	}
}
