package ledger_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
)

// A process that dies while Redis is away takes with it the knowledge of what
// it could not cache any more.
func TestWhatAnEarlierProcessLeftInRedisIsNotBelieved(t *testing.T) {
	t.Parallel()
	b, rdb := bustest.New(t), ledgertest.Miniredis(t)
	first := open(t, b, rdb, options())
	stop := start(t, first)
	say(t, b, "lead1", "one", "two")
	ledgertest.Eventually(t, "both words are heard", func() bool { return len(heard(t, first, "lead1")) == 2 })
	stop()
	history, err := first.History(t.Context(), "lead1")
	if err != nil {
		t.Fatal(err)
	}
	oldest := history[0].Record
	oldest.Version, oldest.State = 1, nil
	raw, err := proto.Marshal(oldest)
	if err != nil {
		t.Fatal(err)
	}
	key := ledger.CacheKey(bus.Scores, "lead1")
	if err := rdb.Set(t.Context(), key, ledger.EncodeCache(1, raw), 0).Err(); err != nil {
		t.Fatal(err)
	}

	second := open(t, b, rdb, options())
	start(t, second)
	ledgertest.Eventually(t, "the old entry is gone", func() bool { return rdb.Exists(t.Context(), key).Val() == 0 })
	found, err := second.BatchGet(t.Context(), []string{"lead1"}, false)
	if err != nil || len(found["lead1"].State.GetUserIds()) != 2 {
		t.Errorf("answers %v, %v; want the two words of the log", found["lead1"].State, err)
	}
}

// The entries are everybody's: whoever could not bring one up to date removes
// it when Redis is back, also when it has nothing else to do.
func TestAnIdleOwnerRemovesWhatBecameOldWhileRedisWasAway(t *testing.T) {
	t.Parallel()
	b, rdb := bustest.New(t), ledgertest.Miniredis(t)
	away := &outage{}
	rdb.AddHook(away)
	other := open(t, b, nil, options())
	l := open(t, b, rdb, options())
	start(t, l)
	key := ledger.CacheKey(bus.Scores, "lead1")
	words := 0
	tell := func() { words++; say(t, b, "lead1", "again") }
	ledgertest.Eventually(t, "it is cached", func() bool { tell(); return rdb.Exists(t.Context(), key).Val() == 1 })
	away.begin()
	tell()
	ledgertest.Eventually(t, "it is committed", func() bool { return len(heard(t, other, "lead1")) == words })
	away.end()
	// Gone, or brought up to date when the writer came late.
	ledgertest.Eventually(t, "the old entry is not there", func() bool {
		raw, err := rdb.Get(t.Context(), key).Bytes()
		if err != nil {
			return errors.Is(err, redis.Nil)
		}
		seq, _, err := ledger.DecodeCache(raw)
		last, lost := other.Get(t.Context(), "lead1")
		return errors.Join(err, lost) == nil && seq == last.Seq
	})
}

// outage lets every call to Redis fail while it lasts.
type outage struct{ on atomic.Bool }

func (o *outage) begin() { o.on.Store(true) }
func (o *outage) end()   { o.on.Store(false) }

func (o *outage) DialHook(next redis.DialHook) redis.DialHook { return next }

func (o *outage) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if o.on.Load() {
			return io.ErrUnexpectedEOF
		}
		return next(ctx, cmd)
	}
}

func (o *outage) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if o.on.Load() {
			return io.ErrUnexpectedEOF
		}
		return next(ctx, cmds)
	}
}
