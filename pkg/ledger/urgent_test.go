package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// copyingOptions are those of a service whose urgent records are copied.
func copyingOptions() ledger.Options[state] {
	o := options()
	o.UrgentCopies = true
	return o
}

// isUrgent reports whether a record has an event that somebody waits for.
func isUrgent(t *testing.T, data []byte) bool {
	t.Helper()
	rec := &ledgerv1.Record{}
	if err := proto.Unmarshal(data, rec); err != nil {
		t.Fatal(err)
	}
	for _, raw := range rec.GetEvents() {
		a := &leadv1.Activity{}
		if err := proto.Unmarshal(raw, a); err != nil {
			t.Fatal(err)
		}
		if a.GetType() == "urgent" {
			return true
		}
	}
	return false
}

// wantCopies reads the whole log: each urgent record has one copy, right in
// front of it, and nothing else has one. It returns how many there are.
func wantCopies(t *testing.T, b *bus.Bus) int {
	t.Helper()
	stream, err := b.JS.Stream(t.Context(), bus.Scores)
	if err != nil {
		t.Fatal(err)
	}
	var copied []byte
	var of string
	copies := 0
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		lead, kind, _, _ := bus.Split(m.Subject)
		if copied != nil && (kind != bus.KindState || lead != of || !bytes.Equal(copied, m.Data)) {
			t.Fatalf("a copy of a record of %s is followed by %s", of, m.Subject)
		}
		if kind == bus.KindState && isUrgent(t, m.Data) != (copied != nil) {
			t.Fatalf("%s at %d: urgent is %v, and it has a copy: %v", m.Subject, seq, isUrgent(t, m.Data), copied != nil)
		}
		copied = nil
		if kind == bus.KindUrgent {
			copied, of = m.Data, lead
			copies++
		}
	}
	return copies
}

func TestAnUrgentRecordIsStoredWithACopy(t *testing.T) {
	for _, n := range []int{1, 30, 1200} {
		b := bustest.New(t)
		l := open(t, b, nil, copyingOptions())
		start(t, l)
		s := &entourage{stored: map[string]uint64{}}
		orders := make([]ledger.Order, n)
		for i := range orders {
			orders[i] = ledger.Order{Lead: fmt.Sprintf("lead%d", i), Command: ledger.Command{Kind: "tell", Data: []byte("calm")}}
			if i%10 == 0 {
				orders[i].Data = []byte("urgent")
			}
			if i%20 == 0 {
				orders[i].Escort = s.beside(orders[i].Lead, 2)
			}
		}
		results, errs := l.UpdateAll(t.Context(), orders)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if got, want := wantCopies(t, b), (n+9)/10; got != want {
			t.Errorf("of %d records %d have a copy, want %d", n, got, want)
		}
		for _, r := range results {
			if at, escorted := s.stored[r.Lead]; r.Seq != has(t, b, bus.Subject(bus.Scores, r.Lead, bus.KindState)) || escorted && at != r.Seq-3 {
				t.Errorf("%s is told to be at %d, its escort at %d", r.Lead, r.Seq, at)
			}
		}
	}
}

// Two owners of the same leads fold again whatever the other one was faster with.
func TestARecordThatIsFoldedAgainHasOneCopy(t *testing.T) {
	b := bustest.New(t)
	owners := []*ledger.Ledger[state]{open(t, b, nil, copyingOptions()), open(t, b, nil, copyingOptions())}
	var all sync.WaitGroup
	for n, l := range owners {
		start(t, l)
		for i := range 20 {
			word := []string{"urgent", "calm"}[(i+n)%2]
			all.Go(func() {
				for range 5 {
					if _, err := l.Update(t.Context(), fmt.Sprintf("lead%d", i%4), ledger.Command{Kind: "tell", Data: []byte(word)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	if wantCopies(t, b) == 0 {
		t.Error("nothing was urgent")
	}
}
