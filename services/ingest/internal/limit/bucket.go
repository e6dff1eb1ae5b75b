// Package limit decides how much a sender may send now. Pure: whoever asks says
// what time it is, and lets one ask at a time.
package limit

import (
	"math"
	"time"
)

// Bucket holds the tokens of one sender. Its zero value is full.
type Bucket struct {
	spent float64 // tokens that are missing; may exceed the burst after a large batch
	at    time.Time
}

// Take takes n tokens, or says how long to wait until they are there. rate is in
// tokens a second, burst is how many a full bucket holds. More than a burst may
// be taken from a full bucket: what is too many then is waited for afterwards,
// so that a large batch is slow and not impossible.
func (b *Bucket) Take(n, rate, burst float64, now time.Time) (wait time.Duration) {
	spent := b.spent
	if passed := now.Sub(b.at); passed > 0 {
		spent = max(0, spent-passed.Seconds()*rate)
	}
	if over := spent + min(n, burst) - burst; over > 1e-6 {
		return time.Duration(math.Ceil(over / rate * float64(time.Second)))
	}
	b.spent, b.at = spent+n, now
	return 0
}

// Full reports whether the bucket would be full by now: then it can be forgotten.
func (b *Bucket) Full(rate float64, now time.Time) bool {
	return b.spent <= now.Sub(b.at).Seconds()*rate
}
