package source

import "sync/atomic"

// Live holds the sources as they are now. Whoever serves a request asks once
// and keeps the answer to the request's end.
type Live struct{ set atomic.Pointer[Set] }

// NewLive begins with a set.
func NewLive(set *Set) *Live {
	l := &Live{}
	l.Replace(set)
	return l
}

// Current gives the sources as they are now.
func (l *Live) Current() *Set { return l.set.Load() }

// Replace puts a new set in the place of the old one.
func (l *Live) Replace(set *Set) { l.set.Store(set) }
