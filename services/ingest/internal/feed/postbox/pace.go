package postbox

import (
	"sync"
	"time"
)

// pace lets so many mails a minute pass, all at once if need be.
type pace struct {
	per int

	mu   sync.Mutex
	left float64
	at   time.Time
}

func (p *pace) take(now time.Time) bool {
	if p.per <= 0 {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.at.IsZero() {
		p.left = min(float64(p.per), p.left+now.Sub(p.at).Minutes()*float64(p.per))
	}
	p.at = now
	if p.left < 1 {
		return false
	}
	p.left--
	return true
}
