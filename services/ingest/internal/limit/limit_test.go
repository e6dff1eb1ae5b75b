package limit

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func start() time.Time { return time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC) }

func TestABucketLetsABurstThroughAndThenTheRate(t *testing.T) {
	b, now := &Bucket{}, start()
	for _, tc := range []struct {
		name  string
		after time.Duration
		n     float64
		wait  time.Duration
	}{
		{name: "a full burst", n: 10},
		{name: "one more has to wait for it", n: 1, wait: 500 * time.Millisecond},
		{name: "half the time is not enough", after: 250 * time.Millisecond, n: 1, wait: 250 * time.Millisecond},
		{name: "when it is there it is given", after: 250 * time.Millisecond, n: 1},
		{name: "what is idle for long has no more than a burst", after: time.Hour, n: 10},
		{name: "and not one more", n: 1, wait: 500 * time.Millisecond},
		{name: "a batch beyond the burst goes into a full bucket", after: time.Hour, n: 30},
		{name: "and is paid for afterwards", n: 1, wait: 10*time.Second + 500*time.Millisecond},
		{name: "a clock that goes back gives nothing", after: -time.Minute, n: 1, wait: 10*time.Second + 500*time.Millisecond},
	} {
		now = now.Add(tc.after)
		if got := b.Take(tc.n, 2, 10, now); got != tc.wait {
			t.Errorf("%s: wait %s, expected %s", tc.name, got, tc.wait)
		}
	}
}

func TestNobodyGetsMoreThanBurstAndRateAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, now := &Bucket{}, start()
		rate, burst := rapid.Float64Range(0.1, 100).Draw(t, "rate"), rapid.Float64Range(1, 50).Draw(t, "burst")
		got := 0.0
		for range rapid.IntRange(1, 200).Draw(t, "asks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "ms")) * time.Millisecond)
			if wait := b.Take(1, rate, burst, now); wait == 0 {
				got++
			} else if again := *b; again.Take(1, rate, burst, now.Add(wait)) != 0 {
				t.Fatalf("told to wait %s, and then there is nothing", wait)
			}
		}
		if most := burst + rate*now.Sub(start()).Seconds() + 1e-3; got > most {
			t.Fatalf("got %v, at most %v were there", got, most)
		}
	})
}

// The law of fairness: whatever one sender does, another who keeps to its own
// part and to the rest is let in.
func TestWhateverOneSenderDoesThereIsAPlaceForTheOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const total = 100
		s := NewShares(total)
		var noisy []int
		for range rapid.IntRange(0, 300).Draw(t, "events") {
			n := rapid.IntRange(1, 60).Draw(t, "n")
			if len(noisy) > 0 && rapid.Bool().Draw(t, "leave") {
				s.Leave("noisy", noisy[0])
				noisy = noisy[1:]
			} else if s.Enter("noisy", n, 0.5) {
				noisy = append(noisy, n)
			}
			if !s.Enter("quiet", 1, 0.5) {
				t.Fatalf("nothing is left for the quiet one: %d taken", s.Taken())
			}
			s.Leave("quiet", 1)
		}
		for _, n := range noisy {
			s.Leave("noisy", n)
		}
		if s.Taken() != 0 || len(s.held) != 0 {
			t.Fatalf("%d places are lost", s.Taken())
		}
	})
}

func TestVisitorsAreLimitedOneByOneAndForgottenInTime(t *testing.T) {
	v := NewVisitors(100)
	now := start()
	for i := range 10_000 {
		if wait := v.Take(fmt.Sprint(i), 1, 1, now); wait != 0 {
			t.Fatalf("visitor %d waits %s for another", i, wait)
		}
	}
	if v.Len() > 200 {
		t.Errorf("%d are remembered", v.Len())
	}
	if wait := v.Take("9999", 1, 1, now); wait != time.Second {
		t.Errorf("the second one of a visitor waits %s", wait)
	}
}
