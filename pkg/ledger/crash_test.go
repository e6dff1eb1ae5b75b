package ledger_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
)

// crash cuts a running ledger off from the log at once: as after kill -9, what
// it had read stays unacknowledged and nothing it still does has an effect.
type crash struct {
	bus  *bus.Bus
	done chan struct{}
}

func startMortal(t *testing.T, b *bus.Bus) *crash {
	t.Helper()
	c := &crash{bus: b, done: make(chan struct{})}
	l := open(t, b, ledgertest.Miniredis(t), patientOptions())
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		defer close(c.done)
		_ = l.Run(ctx) // ends when the connection is cut
	}()
	return c
}

func (c *crash) kill(t *testing.T) {
	t.Helper()
	c.bus.NC.Close()
	select {
	case <-c.done:
	case <-time.After(20 * time.Second):
		t.Fatal("a ledger that lost its connection did not end")
	}
}

// TestCrash kills one owner after the other at arbitrary moments of a steady
// stream of inputs; whoever comes next must bring every lead to the same state.
func TestCrash(t *testing.T) {
	const leads, words, kills = 12, 60, 4
	srv := bustest.Server(t)
	writer := bustest.Connect(t, srv)
	pauses := rapid.SliceOfN(rapid.IntRange(0, 120), kills, kills).Example(int(time.Now().UnixNano() % 1000))
	t.Logf("killed after %v ms", pauses)
	said := make(chan struct{})
	go func() {
		defer close(said)
		for i := range words {
			for lead := range leads {
				say(t, writer, "lead"+strconv.Itoa(lead), strconv.Itoa(i))
			}
		}
	}()
	for _, ms := range pauses {
		c := startMortal(t, bustest.Connect(t, srv))
		heartbeat(t, writer, c, time.Duration(ms)*time.Millisecond)
		c.kill(t)
	}
	<-said
	l := open(t, writer, ledgertest.Miniredis(t), patientOptions())
	start(t, l)
	allHeard(t, l, leads, words)
	rep, err := l.Verify(t.Context())
	if err != nil || len(rep.Mismatches) > 0 {
		t.Errorf("verify after %d kills: %+v, %v", kills, rep, err)
	}
}

// heartbeat waits until the owner has written something, then a while longer.
func heartbeat(t *testing.T, b *bus.Bus, c *crash, more time.Duration) {
	t.Helper()
	s, err := b.JS.Stream(t.Context(), bus.Scores)
	if err != nil {
		t.Fatal(err)
	}
	before := s.CachedInfo().State.LastSeq
	l, r := time.After(8*time.Second), time.NewTicker(10*time.Millisecond)
	defer r.Stop()
	for written := false; !written; {
		select {
		case <-l:
			return // nothing left to write, or a standby still waits for the pin
		case <-c.done:
			t.Fatal("the ledger ended by itself")
		case <-r.C:
			info, err := s.Info(t.Context())
			written = err == nil && info.State.LastSeq > before
		}
	}
	<-time.After(more)
}

// TestStandby proves that a standby takes over within seconds, and at once
// after a clean stop.
func TestStandby(t *testing.T) {
	srv := bustest.Server(t)
	b := bustest.Connect(t, srv)
	c := startMortal(t, bustest.Connect(t, srv))
	say(t, b, "lead1", "0")
	l := open(t, b, nil, options())
	ledgertest.Eventually(t, "the first owner works", func() bool { return len(heard(t, l, "lead1")) == 1 })
	start(t, l)
	say(t, b, "lead1", "1")
	ledgertest.Eventually(t, "still the first owner", func() bool { return len(heard(t, l, "lead1")) == 2 })
	c.kill(t)
	say(t, b, "lead1", "2")
	killed := time.Now()
	ledgertest.Eventually(t, "the standby took over", func() bool { return len(heard(t, l, "lead1")) == 3 })
	if took := time.Since(killed); took > 10*time.Second {
		t.Errorf("the standby took %v", took)
	}
}

// TestRestoredStream proves that sequences of an earlier incarnation of a
// stream do not make new inputs look old.
func TestRestoredStream(t *testing.T) {
	b := bustest.New(t)
	l := open(t, b, ledgertest.Miniredis(t), options())
	stop := start(t, l)
	say(t, b, "lead1", "0", "1", "2")
	ledgertest.Eventually(t, "all is folded", func() bool { return len(heard(t, l, "lead1")) == 3 })
	stop()
	if err := b.JS.DeleteStream(t.Context(), bus.Leads); err != nil {
		t.Fatal(err)
	}
	if err := b.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, open(t, b, nil, options()))
	say(t, b, "lead1", "new")
	want := []string{"0", "1", "2", "new"}
	ledgertest.Eventually(t, "the new stream's input is applied", func() bool { return slices.Equal(heard(t, l, "lead1"), want) })
}
