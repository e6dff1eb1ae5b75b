package daemon

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

const (
	// lookEvery is how often it is looked at how much garbage is collected.
	lookEvery = time.Second
	// busyCycles in one look make a process busy; a quiet one has at most
	// quietCycles within quietLooks.
	busyCycles, quietCycles, quietLooks = 2, 1, 10
	// calm is Go's own setting: the heap may double before it is collected.
	calm = 100
	// eager lets it grow fivefold, but for no more than spare bytes: a process
	// with little live memory collects it many times a second otherwise.
	eager = 400
	spare = 256 << 20
	// ofLimit is how much of a container's memory Go may use, in percent: the
	// rest is for what is not its heap, such as pages of mapped files.
	ofLimit = 90
)

// TendMemory trades memory for processor time while there is much to do, until
// ctx ends. At 200 ready leads a second a quarter of the processor time went into
// collecting a heap of 50 MB; an idle process keeps as little as ever. Who sets
// GOGC or GOMEMLIMIT is obeyed, and so is the memory limit of a container.
func TendMemory(ctx context.Context) {
	if os.Getenv("GOMEMLIMIT") == "" {
		if raw, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
			debug.SetMemoryLimit(limitOf(string(raw)))
		}
	}
	if os.Getenv("GOGC") != "" {
		return
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	seen := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}}
	for m := (tending{percent: calm}); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		metrics.Read(seen)
		before := m.percent
		if m.look(seen[0].Value.Uint64(), seen[1].Value.Uint64()); m.percent == before {
			continue
		}
		debug.SetGCPercent(m.percent)
		if m.percent == calm {
			debug.FreeOSMemory()
		}
	}
}

// limitOf reads what a container may use; math.MaxInt64 for no limit.
func limitOf(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n <= 0 { // "max"
		return math.MaxInt64
	}
	return n / 100 * ofLimit
}

// tending decides how often to collect.
type tending struct {
	percent int
	// cycles were seen last; slow of them since the looks began that found little
	// to collect.
	cycles, slow uint64
	looks        int
}

// look takes how many collections there were since the start, and how many bytes
// live.
func (m *tending) look(cycles, live uint64) {
	more := cycles - m.cycles
	m.cycles = cycles
	if more >= busyCycles {
		m.looks, m.slow = 0, 0
		want := int(min(eager, max(calm, spare*100/max(live, 1))))
		if m.percent == calm || want < m.percent*4/5 || want > m.percent*5/4 {
			m.percent = want
		}
		return
	}
	m.looks, m.slow = m.looks+1, m.slow+more
	if m.looks < quietLooks {
		return
	}
	if m.slow <= quietCycles {
		m.percent = calm
	}
	m.looks, m.slow = 0, 0
}
