package ledger

import (
	"context"
	"fmt"
	"time"
)

const (
	// putBatch is how many records go to Redis in one go.
	putBatch = 128
	// putQueue bounds what waits to be written; beyond it entries are removed
	// instead, which is cheaper.
	putQueue = 10000
	// putRest is how many times as long as a full batch took the writer rests.
	putRest = 4
)

// put hands committed records to the writer. It never waits for Redis: until an
// entry is written the log answers for its lead.
func (c *cache) put(recs []stored) {
	if c.rdb == nil || len(recs) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range recs {
		if _, waits := c.queue[r.lead]; waits || len(c.queue) < putQueue {
			c.queue[r.lead] = r
		} else {
			c.markLocked(r.lead)
		}
	}
	select {
	case c.wake <- struct{}{}:
	default: // the writer knows
	}
}

// doubt removes what is cached of a lead whose commit was not acknowledged: it
// may have been stored all the same.
func (c *cache) doubt(lead string) {
	if c.rdb == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.queue, lead)
	c.markLocked(lead)
	if _, written := c.writing[lead]; written {
		c.doubted = append(c.doubted, lead)
	}
}

// flush writes what waits, batch after batch, until nothing does. What cannot be
// written is remembered and removed before Redis is trusted again. Between full
// batches it rests: while a backlog is worked, the newest record of a lead is
// all that Redis needs, and the processor is needed elsewhere.
func (c *cache) flush(ctx context.Context) {
	for {
		batch, ok := c.next()
		if len(batch) == 0 {
			return
		}
		began := c.now()
		if ok && c.writeSoon(ctx, batch) == nil {
			c.settle(nil)
		} else {
			c.settle(batch)
		}
		if c.backlog() {
			sleep(ctx, putRest*c.now().Sub(began))
		}
	}
}

// backlog reports whether so much waits that freshness no longer matters.
func (c *cache) backlog() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) > 4*putBatch
}

func (c *cache) writeSoon(ctx context.Context, batch []stored) error {
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	if err := c.write(ctx, batch); err != nil {
		c.fail(ctx, "set")
		return fmt.Errorf("cache records: %w", err)
	}
	return nil
}

// next takes a batch off the queue; ok tells whether Redis may be used.
func (c *cache) next() (batch []stored, ok bool) {
	ok = c.usable()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = make(map[string]stored, putBatch)
	for lead, r := range c.queue {
		if len(batch) == putBatch {
			break
		}
		batch = append(batch, r)
		c.writing[lead] = r
		delete(c.queue, lead)
	}
	return batch, ok
}

// settle ends a batch; the entries that were not written may be old.
func (c *cache) settle(lost []stored) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = nil
	for _, r := range lost {
		c.markLocked(r.lead)
	}
	for _, lead := range c.doubted { // it came back with the batch
		c.markLocked(lead)
	}
	c.doubted = nil
}

// writeOut runs the writer until ctx ends, and once more then.
func (c *cache) writeOut(ctx context.Context) {
	for {
		select {
		case <-c.wake:
			c.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			c.flush(last)
			return
		}
	}
}
