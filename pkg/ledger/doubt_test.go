package ledger

import (
	"testing"
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/engines"
)

// A commit without an acknowledgement may have been stored: what Redis has of
// the lead may then be one record behind, for as long as nothing else happens.
func TestWhatACommitOfUnknownResultLeavesInRedisIsRemoved(t *testing.T) {
	t.Parallel()
	addr, stop, err := engines.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	rdb := engines.NewRedis(addr)
	t.Cleanup(func() { _ = rdb.Close() })
	c := newCache(rdb, bus.Scores, time.Now, newMetrics("scoring"))
	has := func(lead string) bool { return rdb.Exists(t.Context(), CacheKey(bus.Scores, lead)).Val() == 1 }

	c.put([]stored{{lead: "a", seq: 1, raw: []byte("x")}, {lead: "b", seq: 2, raw: []byte("x")}})
	c.flush(t.Context())
	if !has("a") || !has("b") {
		t.Fatal("the records are not cached")
	}
	c.doubt("a")
	if !c.usable() || has("a") || !has("b") {
		t.Errorf("doubted entry there: %v, the other: %v", has("a"), has("b"))
	}

	c.put([]stored{{lead: "a", seq: 3, raw: []byte("x")}})
	c.doubt("a")
	c.flush(t.Context())
	if has("a") {
		t.Error("an entry that was doubted while it waited is written")
	}

	c.put([]stored{{lead: "a", seq: 4, raw: []byte("x")}})
	batch, _ := c.next()
	c.doubt("a")
	if !c.usable() || c.writeSoon(t.Context(), batch) != nil {
		t.Fatal("the batch is not written")
	}
	c.settle(nil)
	if !c.usable() || has("a") {
		t.Error("an entry that was doubted on its way stays")
	}
}
