package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
)

// adoptTimeout bounds one attempt to remove the entries of an earlier process.
const adoptTimeout = time.Minute

// distrust keeps the cache from being used until adopt has succeeded. What an
// earlier process committed and could not cache any more, because Redis was away
// or it died in between, only that one knew; after a restore, sequences mean
// something else.
func (c *cache) distrust() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.foreign = c.rdb != nil
}

// keep removes what is old from Redis until ctx ends, also while nobody asks
// here: other processes read the same entries. The log answers meanwhile.
func (c *cache) keep(ctx context.Context, warn func(error)) {
	tick := time.NewTicker(cacheBreak)
	defer tick.Stop()
	for {
		if err := c.mend(ctx); err != nil && ctx.Err() == nil {
			warn(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// mend does one round of keep.
func (c *cache) mend(ctx context.Context) error {
	c.mu.Lock()
	foreign := c.foreign
	c.mu.Unlock()
	if foreign {
		return c.adopt(ctx)
	}
	c.usable()
	return nil
}

// adopt empties the cache. What is committed meanwhile is dirty and removed
// before the first use.
func (c *cache) adopt(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, adoptTimeout)
	defer cancel()
	if err := c.wipe(ctx); err != nil {
		c.fail(ctx, "wipe")
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.foreign = false
	return nil
}

// wipe removes every entry of the stream.
func (c *cache) wipe(ctx context.Context) error {
	for cursor := uint64(0); ; {
		keys, next, err := c.rdb.Scan(ctx, cursor, bus.Prefix(c.stream)+":{*", 1000).Result()
		if err != nil {
			return fmt.Errorf("scan cache of %s: %w", c.stream, err)
		}
		if err := c.unlink(ctx, keys); err != nil {
			return fmt.Errorf("empty cache of %s: %w", c.stream, err)
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// unlink removes keys one by one, in one go: in a cluster they lie apart.
func (c *cache) unlink(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	pipe := c.rdb.Pipeline()
	for _, key := range keys {
		pipe.Unlink(ctx, key)
	}
	_, err := pipe.Exec(ctx)
	return err
}
