package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
)

// TestLedger runs every law against both engines that Redis may be, with and
// without a codec.
func TestLedger(t *testing.T) {
	laws := map[string]func(*testing.T, *bus.Bus, redis.UniversalClient){
		"inputs of a lead are applied once and in order":          inOrder,
		"a second reader with another lane count changes nothing": replayed,
		"two services on one stream apply each input once":        twoOwners,
		"a command answers with the state it made":                commands,
		"concurrent commands share records":                       coalesced,
		"a repeated command changes nothing":                      repeatedCommand,
		"a refused command leaves no trace":                       refusedCommand,
		"a wake-up comes once and never early":                    wakes,
		"an earlier wish replaces the later one":                  wakesEarlier,
		"a wake-up nobody asks for any more is dropped":           calmed,
		"a bad input is parked and its lead goes on":              parks,
		"one record too large does not stop a batch":              tooLarge,
		"emptying Redis changes no answer":                        flushed,
		"every state can be rebuilt from the log":                 verified,
	}
	engines := map[string]func(testing.TB) redis.UniversalClient{
		"miniredis": ledgertest.Miniredis, "redis": ledgertest.RedisServer,
		"none": func(testing.TB) redis.UniversalClient { return nil },
	}
	for name, newRedis := range engines { // and once more with a codec
		engines[name+sealedMark] = newRedis
	}
	for engine, newRedis := range engines {
		t.Run(engine, func(t *testing.T) {
			for law, check := range laws {
				t.Run(law, func(t *testing.T) {
					t.Parallel()
					check(t, bustest.New(t), newRedis(t))
				})
			}
		})
	}
}

// flood publishes n numbered words to each of some leads, interleaved.
func flood(t *testing.T, b *bus.Bus, leads, n int) {
	t.Helper()
	for i := range n {
		for lead := range leads {
			say(t, b, "lead"+strconv.Itoa(lead), strconv.Itoa(i))
		}
	}
}

func numbers(n int) []string {
	words := make([]string, n)
	for i := range n {
		words[i] = strconv.Itoa(i)
	}
	return words
}

// allHeard waits until every lead has its numbers, each once and in order.
func allHeard(t *testing.T, l *ledger.Ledger[state], leads, n int) {
	t.Helper()
	for lead := range leads {
		name := "lead" + strconv.Itoa(lead)
		ledgertest.Eventually(t, name+" is complete", func() bool { return len(heard(t, l, name)) >= n })
		if diff := cmp.Diff(numbers(n), heard(t, l, name)); diff != "" {
			t.Fatalf("%s heard (-want +got):\n%s", name, diff)
		}
	}
}

func inOrder(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	l := open(t, b, rdb, options())
	flood(t, b, 20, 10) // at hand before it runs
	start(t, l)
	flood2 := func() {
		for i := 10; i < 20; i++ {
			for lead := range 20 {
				say(t, b, "lead"+strconv.Itoa(lead), strconv.Itoa(i))
			}
		}
	}
	flood2()
	allHeard(t, l, 20, 20)
}

func replayed(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	flood(t, b, 10, 10)
	stop := start(t, open(t, b, rdb, options()))
	l := open(t, b, rdb, options())
	allHeard(t, l, 10, 10)
	stop()
	before, err := b.JS.Stream(t.Context(), bus.Scores)
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Lanes = 4
	again := open(t, b, rdb, o)
	start(t, again)
	say(t, b, "lead0", "10")
	ledgertest.Eventually(t, "the new reader is through", func() bool { return len(heard(t, again, "lead0")) == 11 })
	info, err := before.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for lead := 1; lead < 10; lead++ {
		if got := heard(t, again, "lead"+strconv.Itoa(lead)); !slices.Equal(got, numbers(10)) {
			t.Errorf("lead%d heard %v after the replay", lead, got)
		}
	}
	if got, most := info.State.Msgs, before.CachedInfo().State.Msgs+1; got > most {
		t.Errorf("the replay wrote records: %d messages, want at most %d", got, most)
	}
}

func twoOwners(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	other := options()
	other.Service = "rival" // its own consumers: both read everything
	l := open(t, b, rdb, options())
	start(t, l)
	start(t, open(t, b, rdb, other))
	flood(t, b, 5, 60)
	allHeard(t, l, 5, 60)
}

func commands(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	l := open(t, b, rdb, options())
	start(t, l)
	for i, word := range []string{"a", "b"} {
		res, err := l.Update(t.Context(), "lead1", ledger.Command{Kind: "tell", Data: []byte(word)})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.State.GetUserIds(); len(got) != i+1 || got[i] != word || res.Reason != "told" || res.Seq == 0 {
			t.Errorf("Update answered %v, reason %q, seq %d", got, res.Reason, res.Seq)
		}
	}
	if got := heard(t, l, "lead1"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("stored %v", got)
	}
}

func coalesced(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	l := open(t, b, rdb, options())
	start(t, l)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if _, err := l.Update(t.Context(), "lead1", ledger.Command{Kind: "tell", Data: []byte(strconv.Itoa(i))}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	e, err := l.Get(t.Context(), "lead1")
	if err != nil {
		t.Fatal(err)
	}
	if e.State.GetActivities() != 200 {
		t.Errorf("applied %d of 200 commands", e.State.GetActivities())
	}
	if e.Record.GetVersion() >= 200 {
		t.Errorf("%d records for 200 concurrent commands: they do not share", e.Record.GetVersion())
	}
}

func repeatedCommand(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	l := open(t, b, rdb, options())
	start(t, l)
	cmd := ledger.Command{ID: "request-1", Kind: "tell", Data: []byte("a")}
	for i := range 3 {
		res, err := l.Update(t.Context(), "lead1", cmd)
		if err != nil {
			t.Fatal(err)
		}
		if res.Duplicate != (i > 0) || len(res.State.GetUserIds()) != 1 {
			t.Errorf("try %d: duplicate %v, state %v", i, res.Duplicate, res.State.GetUserIds())
		}
	}
}

func refusedCommand(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	l := open(t, b, rdb, options())
	start(t, l)
	tell := func(word string) error {
		_, err := l.Update(t.Context(), "lead1", ledger.Command{Kind: "tell", Data: []byte(word)})
		return err
	}
	if err := tell("a"); err != nil {
		t.Fatal(err)
	}
	if err := tell("bad"); !errors.Is(err, errBad) {
		t.Errorf("refusal came back as %v", err)
	}
	if err := tell("b"); err != nil {
		t.Fatal(err)
	}
	if got := heard(t, l, "lead1"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the refused command left a trace: %v", got)
	}
	for _, lead := range []string{"", "a.b", "a*", "a b"} {
		if _, err := l.Update(t.Context(), lead, ledger.Command{Kind: "tell"}); err == nil {
			t.Errorf("lead id %q was taken", lead)
		}
	}
}

func wakes(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	l := open(t, b, rdb, options())
	start(t, l)
	say(t, b, "lead1", "wake=300ms")
	ledgertest.Eventually(t, "woken up", func() bool { return len(heard(t, l, "lead1")) == 2 })
	h, err := l.History(t.Context(), "lead1")
	if err != nil {
		t.Fatal(err)
	}
	asked, came := h[0].Record, h[1].Record.GetCauses()[0]
	if came.GetNow().AsTime().Before(asked.GetWakeAt().AsTime()) {
		t.Errorf("woken up at %v, before %v", came.GetNow().AsTime(), asked.GetWakeAt().AsTime())
	}
	say(t, b, "lead1", "end")
	ledgertest.Eventually(t, "the end", func() bool { return slices.Contains(heard(t, l, "lead1"), "end") })
	if got := heard(t, l, "lead1"); !slices.Equal(got, []string{"wake=300ms", "due", "end"}) {
		t.Errorf("heard %v", got)
	}
}

func wakesEarlier(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	l := open(t, b, rdb, options())
	start(t, l)
	say(t, b, "lead1", "wake=1h", "wake=200ms")
	say(t, b, "lead2", "wake=200ms", "wake=900ms") // the armed one comes too early and is set again
	for _, lead := range []string{"lead1", "lead2"} {
		ledgertest.Eventually(t, lead+" woken up", func() bool { return len(heard(t, l, lead)) == 3 })
	}
	h, err := l.History(t.Context(), "lead2")
	if err != nil {
		t.Fatal(err)
	}
	last := h[len(h)-1].Record.GetCauses()[0].GetNow().AsTime()
	asked := h[len(h)-2].Record.GetWakeAt().AsTime()
	if last.Before(asked) {
		t.Errorf("woken up at %v, before %v", last, asked)
	}
}

func calmed(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	l := open(t, b, rdb, options())
	start(t, l)
	say(t, b, "lead1", "wake=100ms", "calm")
	say(t, b, "lead2", "wake=400ms")
	ledgertest.Eventually(t, "lead2 woken up after lead1's time", func() bool { return len(heard(t, l, "lead2")) == 2 })
	if got := heard(t, l, "lead1"); !slices.Equal(got, []string{"wake=100ms", "calm"}) {
		t.Errorf("heard %v", got)
	}
}

func parks(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	l := open(t, b, rdb, options())
	start(t, l)
	say(t, b, "lead1", "a", "bad", "b", "panic", "c")
	say(t, b, "lead2", "a")
	ledgertest.Eventually(t, "both leads go on", func() bool {
		return len(heard(t, l, "lead1")) == 3 && len(heard(t, l, "lead2")) == 1
	})
	if got := heard(t, l, "lead1"); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("heard %v", got)
	}
	var list []bus.ParkedMsg
	ledgertest.Eventually(t, "both are parked", func() bool {
		var err error
		if list, err = b.ListParked(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(list) == 2
	})
	p := list[0]
	if string(p.GetData()) != "bad" || p.GetLeadId() != "lead1" || p.GetReason() != bus.ReasonRefused || p.GetError() == "" {
		t.Errorf("parked %v", p.Parked)
	}
	redrives(t, b, l, list)
}

// redrives sends both back: they fail again and are parked again, as new entries.
func redrives(t *testing.T, b *bus.Bus, l *ledger.Ledger[state], list []bus.ParkedMsg) {
	t.Helper()
	for _, p := range list {
		if err := b.Redrive(t.Context(), p.Seq); err != nil {
			t.Fatal(err)
		}
	}
	ledgertest.Eventually(t, "both are parked again", func() bool {
		again, err := b.ListParked(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(again) == 2 && again[0].Seq > list[1].Seq && again[0].GetSubject() == list[0].GetSubject()
	})
	if err := b.Dismiss(t.Context(), list[0].Seq); err == nil {
		t.Error("dismissed an entry that was gone")
	}
	if got := heard(t, l, "lead1"); len(got) != 3 {
		t.Errorf("heard %v", got)
	}
}

func tooLarge(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	for i := range 300 {
		say(t, b, "lead"+strconv.Itoa(i), "0")
	}
	say(t, b, "lead7", "bigger")
	for i := range 300 {
		say(t, b, "lead"+strconv.Itoa(i), "1")
	}
	l := open(t, b, rdb, options())
	start(t, l)
	for i := range 300 {
		if i == 7 {
			continue
		}
		lead := "lead" + strconv.Itoa(i)
		ledgertest.Eventually(t, lead+" is complete", func() bool { return slices.Equal(heard(t, l, lead), []string{"0", "1"}) })
	}
	ledgertest.Eventually(t, "what cannot be stored is parked", func() bool {
		list, err := b.ListParked(t.Context())
		return err == nil && len(list) > 0 && list[0].GetLeadId() == "lead7"
	})
}

func flushed(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	o := options()
	o.CacheLeads = 3 // nearly everything is read from Redis or the log
	l := open(t, b, rdb, o)
	start(t, l)
	for i := range 30 {
		for lead := range 10 {
			say(t, b, "lead"+strconv.Itoa(lead), strconv.Itoa(i))
		}
		if rdb != nil && i%5 == 0 {
			if err := rdb.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	allHeard(t, l, 10, 30)
}

func verified(t *testing.T, b *bus.Bus, rdb redis.UniversalClient) {
	l := open(t, b, rdb, options())
	start(t, l)
	flood(t, b, 10, 5)
	say(t, b, "lead3", "wake=50ms")
	for i := range 5 {
		if _, err := l.Update(t.Context(), fmt.Sprintf("lead%d", i+5), ledger.Command{Kind: "tell", Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	ledgertest.Eventually(t, "all is folded", func() bool { return slices.Contains(heard(t, l, "lead3"), "due") && len(heard(t, l, "lead9")) == 6 })
	rep, err := l.Verify(t.Context())
	if err != nil || rep.Leads != 10 || len(rep.Mismatches) > 0 || rep.Untold > 0 || rep.Records < 10 {
		t.Fatalf("verify: %+v, %v", rep, err)
	}
	forge(t, b, l)
	rep, err = l.Verify(t.Context())
	if err != nil || len(rep.Mismatches) != 1 || rep.Mismatches[0].Lead != "lead3" {
		t.Errorf("verify did not find the forged record: %+v, %v", rep, err)
	}
}
