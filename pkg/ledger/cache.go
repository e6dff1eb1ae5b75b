package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

const (
	// seqDigits is the width of the hexadecimal sequence before a cached record;
	// fixed, so that comparing strings compares numbers.
	seqDigits = 16
	// cacheTTL bounds how long an entry that could not be updated may live.
	cacheTTL = time.Hour
	// cacheTimeout bounds one call: a cache slower than the log is worse than none.
	cacheTimeout = 150 * time.Millisecond
	// cacheBreak is how long Redis is left alone after a failed call.
	cacheBreak = time.Second
	// cacheDirty bounds the leads whose cached entry is known to be old.
	cacheDirty = 100000
)

// setIfNewer never moves an entry backwards, whoever writes late. EVAL only:
// it must run the same on a real Redis and on the embedded stand-in. It takes
// many entries at once, because beginning a script costs more than what it does;
// the arguments are how long they live, then a sequence and a record for each key.
const setIfNewer = `
for i, key in ipairs(KEYS) do
  if redis.call('GETRANGE', key, 0, 15) < ARGV[2*i] then
    redis.call('SET', key, ARGV[2*i] .. ARGV[2*i+1], 'PX', ARGV[1])
  end
end
return 1`

// perScript bounds the entries of one script, for Redis does nothing else
// meanwhile.
const perScript = 100

// CacheKey is where Redis holds a lead's record of a stream. The lead is the
// hash tag, so a Redis cluster serves one lead's keys together.
func CacheKey(stream, lead string) string {
	return bus.Prefix(stream) + ":{" + lead + "}"
}

// EncodeCache is the cached form of a record: its sequence, then its bytes.
func EncodeCache(seq uint64, record []byte) []byte {
	return append(fmt.Appendf(nil, "%0*x", seqDigits, seq), record...)
}

// DecodeCache reads a cached record and its sequence in the stream.
func DecodeCache(raw []byte) (seq uint64, rec *ledgerv1.Record, err error) {
	if len(raw) < seqDigits {
		return 0, nil, fmt.Errorf("decode cached record: %d bytes are too few", len(raw))
	}
	if seq, err = strconv.ParseUint(string(raw[:seqDigits]), 16, 64); err != nil {
		return 0, nil, fmt.Errorf("decode sequence of cached record: %w", err)
	}
	rec = &ledgerv1.Record{}
	if err := proto.Unmarshal(raw[seqDigits:], rec); err != nil {
		return 0, nil, fmt.Errorf("decode cached record: %w", err)
	}
	return seq, rec, nil
}

// cache is Redis as memory: every failure is a miss.
type cache struct {
	rdb     redis.UniversalClient
	script  *redis.Script
	stream  string
	now     func() time.Time
	metrics *metrics

	mu     sync.Mutex
	broken time.Time           // leave Redis alone until then
	dirty  map[string]struct{} // leads whose entry may be old
	// foreign: any entry may be old, and all have to be removed first.
	foreign bool
	// queue has what is to be written, writing what is on its way; wake tells
	// the writer.
	queue, writing map[string]stored
	// doubted are leads whose entry became doubtful while it was on its way.
	doubted []string
	wake    chan struct{}
}

func newCache(rdb redis.UniversalClient, stream string, now func() time.Time, m *metrics) *cache {
	return &cache{
		rdb: rdb, script: redis.NewScript(setIfNewer), stream: stream, now: now, metrics: m,
		dirty: map[string]struct{}{}, queue: map[string]stored{}, wake: make(chan struct{}, 1),
	}
}

// get reads what is cached of the leads; a lead that is not in the answer has
// to be read from the log.
func (c *cache) get(ctx context.Context, leads []string) map[string]cached {
	if !c.usable() || len(leads) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cacheTimeout)
	defer cancel()
	pipe := c.rdb.Pipeline()
	gets := make([]*redis.StringCmd, len(leads))
	for i, lead := range leads {
		gets[i] = pipe.Get(ctx, CacheKey(c.stream, lead))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		c.fail(ctx, "get")
		return nil
	}
	found := make(map[string]cached, len(leads))
	for i, cmd := range gets {
		raw, err := cmd.Bytes()
		if err != nil || c.isDirty(leads[i]) {
			continue
		}
		if seq, rec, err := DecodeCache(raw); err == nil {
			found[leads[i]] = cached{seq: seq, rec: rec}
		}
	}
	return found
}

// cached is a record found in Redis.
type cached struct {
	seq uint64
	rec *ledgerv1.Record
}

// stored is a record just committed.
type stored struct {
	lead string
	seq  uint64
	raw  []byte
	// born: it is the first of its lead, so an entry that exists is newer.
	born bool
}

func (c *cache) write(ctx context.Context, recs []stored) error {
	for _, load := range []bool{false, true} {
		pipe := c.rdb.Pipeline()
		if load {
			pipe.ScriptLoad(ctx, setIfNewer) // Script.Load would forget its hash: a pipeline has no answer yet
		}
		c.fill(ctx, pipe, recs)
		_, err := pipe.Exec(ctx)
		if err == nil || !redis.HasErrorPrefix(err, "NOSCRIPT") {
			return err
		}
	}
	return errors.New("script cannot be loaded")
}

// fill adds the writes of records to a pipeline.
func (c *cache) fill(ctx context.Context, pipe redis.Pipeliner, recs []stored) {
	_, alone := c.rdb.(*redis.Client) // a cluster runs a script where one lead's keys are
	most := 1
	if alone {
		most = perScript
	}
	var keys []string
	args := []any{cacheTTL.Milliseconds()}
	for _, r := range recs {
		if r.born { // a script costs ten times as much
			pipe.SetNX(ctx, CacheKey(c.stream, r.lead), EncodeCache(r.seq, r.raw), cacheTTL)
			continue
		}
		keys = append(keys, CacheKey(c.stream, r.lead))
		if args = append(args, fmt.Sprintf("%0*x", seqDigits, r.seq), r.raw); len(keys) == most {
			c.script.EvalSha(ctx, pipe, keys, args...)
			keys, args = nil, []any{cacheTTL.Milliseconds()}
		}
	}
	if len(keys) > 0 {
		c.script.EvalSha(ctx, pipe, keys, args...)
	}
}

// usable reports whether Redis may be asked, and cleans up what is known to be
// old when it is back after a failure.
func (c *cache) usable() bool {
	if c.rdb == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Before(c.broken) {
		return false
	}
	if c.foreign {
		return false
	}
	if len(c.dirty) > 0 {
		return c.clean()
	}
	return true
}

// clean removes the entries known to be old. Lock held.
//
//nolint:contextcheck // it serves everybody, not the caller
func (c *cache) clean() bool {
	ctx, cancel := context.WithTimeout(context.Background(), cacheTimeout)
	defer cancel()
	if err := c.forget(ctx); err != nil {
		c.broken = c.now().Add(cacheBreak)
		return false
	}
	clear(c.dirty)
	return true
}

// forget deletes the dirty entries.
func (c *cache) forget(ctx context.Context) error {
	keys := make([]string, 0, len(c.dirty))
	for lead := range c.dirty {
		keys = append(keys, CacheKey(c.stream, lead))
	}
	if err := c.unlink(ctx, keys); err != nil {
		return fmt.Errorf("forget old entries: %w", err)
	}
	return nil
}

func (c *cache) isDirty(lead string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, dirty := c.dirty[lead]
	_, queued := c.queue[lead]
	_, writing := c.writing[lead]
	return dirty || queued || writing
}

// markLocked remembers that an entry is old; when there are too many, that all
// may be. Lock held.
func (c *cache) markLocked(lead string) {
	c.dirty[lead] = struct{}{}
	if len(c.dirty) > cacheDirty {
		clear(c.dirty)
		c.foreign = true
	}
}

func (c *cache) fail(ctx context.Context, op string) {
	c.metrics.cacheError(ctx, op)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = c.now().Add(cacheBreak)
}
