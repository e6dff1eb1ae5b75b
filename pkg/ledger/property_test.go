package ledger_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// step is one thing that happens to the service under test.
type step struct {
	// say is told to a lead; restart begins a new process with an empty memory,
	// in another number of lanes; flush empties Redis.
	lead, say      string
	restart, flush bool
	lanes          int
}

func steps(t *rapid.T) []step {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		switch rapid.IntRange(0, 19).Draw(t, "kind") {
		case 0:
			return step{restart: true, lanes: rapid.SampledFrom([]int{1, 3}).Draw(t, "lanes")}
		case 1:
			return step{flush: true}
		}
		return step{
			lead: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "lead"),
			say:  rapid.SampledFrom([]string{"1", "2", "3", "same", "bad", "panic", "calm"}).Draw(t, "word"),
		}
	}), 5, 60).Draw(t, "steps")
}

// model is what a lead must have heard: every word that can be applied, in order.
func model(all []step, lead string) []string {
	var heard []string
	for _, s := range all {
		if s.lead == lead && s.say != "same" && s.say != "bad" && s.say != "panic" {
			heard = append(heard, s.say)
		}
	}
	return heard
}

// TestAnyScheduleGivesTheModelsState lets inputs arrive in any split, with
// processes replaced and the cache emptied at any point, and wants the state and
// the events that folding the words one by one gives.
func TestAnyScheduleGivesTheModelsState(t *testing.T) {
	t.Parallel()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // each one runs real engines
		if err := flag.Set("rapid.checks", "25"); err != nil {
			t.Fatal(err)
		}
	}
	b, rdb := bustest.New(t), ledgertest.Miniredis(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		name := func(lead string) string { return fmt.Sprintf("run%d%s", run, lead) }
		all := steps(rt)
		l := open(t, b, rdb, options())
		stop := start(t, l)
		for _, s := range all {
			switch {
			case s.restart:
				stop()
				o := options()
				o.Lanes = s.lanes
				l = open(t, b, rdb, o)
				stop = start(t, l)
			case s.flush:
				rdb.FlushAll(t.Context())
			default:
				say(t, b, name(s.lead), s.say)
			}
		}
		for _, lead := range []string{"a", "b", "c"} {
			want := model(all, lead)
			ledgertest.Eventually(t, name(lead)+" is complete", func() bool { return len(heard(t, l, name(lead))) >= len(want) })
			if got := heard(t, l, name(lead)); !slices.Equal(got, want) {
				rt.Fatalf("%s heard %v, want %v", lead, got, want)
			}
			if got := told(t, l, name(lead)); !slices.Equal(got, want) {
				rt.Fatalf("%s told %v, want %v", lead, got, want)
			}
		}
		stop()
	})
}

// told is what a lead's events say, over all its records.
func told(t *testing.T, l *ledger.Ledger[state], lead string) []string {
	t.Helper()
	if heard(t, l, lead) == nil {
		return nil
	}
	history, err := l.History(t.Context(), lead)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range history {
		for _, raw := range e.Record.GetEvents() {
			var a leadv1.Activity
			if err := proto.Unmarshal(raw, &a); err != nil {
				t.Fatal(err)
			}
			words = append(words, a.GetType())
		}
	}
	return words
}
