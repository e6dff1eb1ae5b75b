package score_test

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/services/scoring/internal/score"

	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

func counter(rule string, value float64) *scoringv1.Counter {
	return &scoringv1.Counter{Rule: rule, Value: value, At: timestamppb.New(start)}
}

func TestWithOneHalfLifeTheCrossingIsInClosedForm(t *testing.T) {
	m := testModel(t)
	got, ok := score.Leaves(m, []*scoringv1.Counter{counter("clicked", 100)}, start, 65, math.Inf(1))
	if !ok {
		t.Fatal("never crosses")
	}
	near(t, "days", got.Sub(start).Hours()/24, 4.3504, 5e-5)
}

func TestTheSearchFindsWhatTheClosedFormKnows(t *testing.T) {
	m := testModel(t)
	// A cap that binds makes the sum 60 until the counter has faded to 60.
	got, ok := score.Leaves(m, []*scoringv1.Counter{counter("pricing", 120)}, start, 30, math.Inf(1))
	if !ok {
		t.Fatal("never crosses")
	}
	near(t, "days", got.Sub(start).Hours()/24, 14, 1e-4)
}

func TestALineThatIsNeverReachedNeedsNoWakeUp(t *testing.T) {
	m := testModel(t)
	for name, counters := range map[string][]*scoringv1.Counter{
		"nothing counted":  nil,
		"only below":       {counter("clicked", 5)},
		"everything faded": {counter("clicked", 1e-9)},
	} {
		if at, ok := score.Leaves(m, counters, start, math.Inf(-1), 60); ok {
			t.Errorf("%s: wakes at %v", name, at)
		}
	}
}

func TestAFadingComplaintLetsInterestShowAgain(t *testing.T) {
	m := testModel(t)
	// Behaviour falls at first, then rises while the negative part fades slower
	// than nothing: 8 clicks' worth that barely fades against it.
	counters := []*scoringv1.Counter{counter("unsubscribed", -40), counter("read", 45)}
	at, ok := score.Leaves(m, counters, start, -1, 10)
	if !ok {
		t.Fatal("never crosses")
	}
	if v := score.Behaviour(m, counters, at); v > -1 {
		t.Fatalf("at %v behaviour is %v, not below -1", at, v)
	}
}

func TestTheWakeUpIsNeverEarlyAndHardlyLate(t *testing.T) {
	m := testModel(t)
	rapid.Check(t, func(t *rapid.T) {
		s := anyState(t, m)
		now := start.Add(31 * day)
		line := rapid.Float64Range(0.5, 80).Draw(t, "line")
		value := score.Behaviour(m, s.GetCounters(), now)
		below, above := math.Inf(-1), math.Inf(1)
		if value >= line {
			below = line
		} else {
			above = line
		}
		outside := func(at time.Time) bool {
			v := score.Behaviour(m, s.GetCounters(), at)
			return v < below || v >= above
		}
		at, ok := score.Leaves(m, s.GetCounters(), now, below, above)
		limit := now.Add(400 * day)
		if ok {
			if !outside(at) {
				t.Fatalf("at the wake-up %v behaviour %v has not left (%v, %v)", at, score.Behaviour(m, s.GetCounters(), at), below, above)
			}
			limit = at.Add(-at.Sub(now)/100_000 - 2*time.Second)
		}
		step := max(limit.Sub(now)/500, time.Second)
		for probe := now.Add(time.Second); probe.Before(limit); probe = probe.Add(step) {
			if v := score.Behaviour(m, s.GetCounters(), probe); v < below-1e-4 || v >= above+1e-4 {
				t.Fatalf("behaviour %v left (%v, %v) at %v, the wake-up is at %v (%v)", v, below, above, probe, at, ok)
			}
		}
	})
}

func BenchmarkLeavesBySearch(b *testing.B) {
	m := testModel(b)
	counters := []*scoringv1.Counter{
		counter("clicked", 20), counter("pricing", 40), counter("read", 12), counter("unsubscribed", -3),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := score.Leaves(m, counters, start, 30, 80); !ok {
			b.Fatal("never crosses")
		}
	}
}
