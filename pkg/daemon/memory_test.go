package daemon

import (
	"math"
	"testing"
)

func TestABusyProcessCollectsSeldomAndAQuietOneKeepsLittle(t *testing.T) {
	m := tending{percent: calm}
	cycles := uint64(5)
	look := func(times int, more, live uint64) int {
		for range times {
			cycles += more
			m.look(cycles, live)
		}
		return m.percent
	}
	for _, c := range []struct {
		what       string
		times      int
		more, live uint64
		want       int
	}{
		{"little to do", 30, 0, 20 << 20, calm},
		{"busy, little is alive", 1, 20, 40 << 20, eager},
		{"that pays: fewer collections", 5, 1, 40 << 20, eager},
		{"busy, more is alive", 1, 2, 128 << 20, 200},
		{"busy, much is alive: as Go does", 1, 2, 1 << 30, calm},
		{"busy again", 1, 9, 60 << 20, eager},
		{"quiet for a moment", 9, 0, 60 << 20, eager},
		{"quiet", quietLooks, 0, 20 << 20, calm},
	} {
		if got := look(c.times, c.more, c.live); got != c.want {
			t.Errorf("%s: %d %%, want %d", c.what, got, c.want)
		}
	}
}

func TestTheLimitOfAContainerIsHeeded(t *testing.T) {
	for text, want := range map[string]int64{"max\n": math.MaxInt64, "": math.MaxInt64, "1000000000\n": 900_000_000} {
		if got := limitOf(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
