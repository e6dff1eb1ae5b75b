package bus

import (
	"sync"
	"time"
)

// What writing costs. A batch is staged in a store of its own, which takes its
// time, and then needs a handful of fsyncs however large it is.
const (
	// quietSingle is what one message of a pipeline takes on a quiet disk.
	quietSingle = 180 * time.Microsecond
	staging     = 9 * time.Millisecond
	batchSyncs  = 6
	// eachInBatch is what one more message adds to a batch.
	eachInBatch = 40 * time.Microsecond
	// maxPipelined is beyond what a pipeline is never sooner.
	maxPipelined = 64
)

// Pace chooses between single publishes, each with its own fsync, and one
// atomic batch. Which one is sooner depends on the disk and on who else uses
// it, so the price of a single publish is measured all along. Safe for
// concurrent use.
type Pace struct {
	mu     sync.Mutex
	single time.Duration
	now    func() time.Time
}

// NewPace begins with the price of a quiet disk.
func NewPace() *Pace { return &Pace{single: quietSingle, now: time.Now} }

// Batches reports whether n messages are written sooner as one atomic batch.
func (p *Pace) Batches(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > maxPipelined {
		return true
	}
	pipeline := time.Duration(n) * p.single
	batch := staging + batchSyncs*p.single + time.Duration(n)*eachInBatch
	if pipeline <= batch {
		return false
	}
	p.single -= (p.single - quietSingle) / 100 // what is not used is not measured: try again some time
	return true
}

// Piped notes how long a pipeline of n messages took. Few messages measure the
// round trip more than the disk.
func (p *Pace) Piped(n int, took time.Duration) {
	if n < 4 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.single += (took/time.Duration(n) - p.single) / 8
}
