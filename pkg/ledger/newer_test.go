package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Late writers meet newer entries, among many that are written at once.
func TestManyEntriesWrittenAtOnceNeverMoveBackwards(t *testing.T) {
	m := miniredis.RunT(t)
	for name, rdb := range map[string]redis.UniversalClient{
		"one Redis": redis.NewClient(&redis.Options{Addr: m.Addr()}),
		"a cluster": redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{m.Addr()}}),
	} {
		t.Run(name, func(t *testing.T) {
			m.FlushAll()
			t.Cleanup(func() { _ = rdb.Close() })
			c := newCache(rdb, "SCORES", time.Now, newMetrics("test"))
			const n = 2*perScript + 7
			for _, seqOf := range []func(i int) uint64{
				func(i int) uint64 { return uint64(10 + i%3) }, //nolint:gosec // small
				func(int) uint64 { return 11 },
			} {
				recs := make([]stored, n)
				for i := range recs {
					recs[i] = stored{lead: fmt.Sprint("lead", i), seq: seqOf(i), raw: fmt.Appendf(nil, "at %d", seqOf(i))}
				}
				if err := c.write(t.Context(), recs); err != nil {
					t.Fatal(err)
				}
			}
			for i := range n {
				seq := max(uint64(10+i%3), 11) //nolint:gosec // small
				got, err := rdb.Get(t.Context(), CacheKey("SCORES", fmt.Sprint("lead", i))).Result()
				if want := string(EncodeCache(seq, fmt.Appendf(nil, "at %d", seq))); err != nil || got != want {
					t.Fatalf("entry %d: %q, %v; want %q", i, got, err, want)
				}
			}
		})
	}
}
