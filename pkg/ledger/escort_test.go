package ledger_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger"
)

// entourage are the escorts of a test, and where they were stored.
type entourage struct {
	mu     sync.Mutex
	stored map[string]uint64
}

// beside makes an escort of n messages for a lead, each for a subject that
// nobody has.
func (s *entourage) beside(lead string, n int) *ledger.Escort {
	e := &ledger.Escort{Stored: func(first uint64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stored[lead] = first
	}}
	for i := range n {
		e.Msgs = append(e.Msgs, bus.ExpectLast(&nats.Msg{Subject: place(lead, i), Data: []byte(lead)}, 0))
	}
	return e
}

func place(lead string, n int) string {
	return bus.Subject(bus.Scores, lead, "beside", strconv.Itoa(n))
}

func has(t *testing.T, b *bus.Bus, subject string) uint64 {
	t.Helper()
	m, err := b.LastMsg(t.Context(), bus.Scores, subject)
	if errors.Is(err, bus.ErrNoMessage) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return m.Sequence
}

func born(lead, word string, e *ledger.Escort) ledger.Order {
	return ledger.Order{Lead: lead, Command: ledger.Command{Kind: "tell", Data: []byte(word), Newborn: true, Escort: e}}
}

func TestARecordAndItsEscortAreStoredTogether(t *testing.T) {
	for _, n := range []int{1, 20, 900} {
		b := bustest.New(t)
		l := open(t, b, nil, options())
		start(t, l)
		s := &entourage{stored: map[string]uint64{}}
		orders := make([]ledger.Order, 0, 2*n)
		for i := range n {
			lead := "lead" + strconv.Itoa(i)
			e := s.beside(lead, 2)
			orders = append(orders, born(lead, "first", e), born(lead, "second", e))
		}
		results, errs := l.UpdateAll(t.Context(), orders)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			first := s.stored[r.Lead]
			if r.Record.GetVersion() != 1 || r.Seq != first+2 || has(t, b, place(r.Lead, 0)) != first || has(t, b, place(r.Lead, 1)) != first+1 {
				t.Fatalf("of %d, result %d: version %d at %d, escort told %d", n, i, r.Record.GetVersion(), r.Seq, first)
			}
		}
	}
}

func TestNothingIsStoredOfARecordThatIsRefused(t *testing.T) {
	b := bustest.New(t)
	l := open(t, b, nil, options())
	start(t, l)
	s := &entourage{stored: map[string]uint64{}}
	for _, word := range []string{"bad", "bigger", "same"} {
		_, errs := l.UpdateAll(t.Context(), []ledger.Order{born("lead-"+word, word, s.beside("lead-"+word, 1)), born("other-"+word, "x", s.beside("other-"+word, 1))})
		if (errs[0] == nil) != (word == "same") || errs[1] != nil {
			t.Errorf("%s: %v", word, errs)
		}
		if has(t, b, place("lead-"+word, 0)) != 0 || s.stored["lead-"+word] != 0 || s.stored["other-"+word] == 0 {
			t.Errorf("%s: stored %v", word, s.stored)
		}
	}
}

// TestWhoWasOvertakenIsToldAndAllOthersAreStored commits leads some of whose
// escorts cannot be stored any more, beside leads without one.
func TestWhoWasOvertakenIsToldAndAllOthersAreStored(t *testing.T) {
	b := bustest.New(t)
	l := open(t, b, nil, options())
	start(t, l)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		s := &entourage{stored: map[string]uint64{}}
		n := rapid.IntRange(1, 120).Draw(rt, "leads")
		lost := rapid.MapOfN(rapid.IntRange(0, n-1), rapid.IntRange(0, 1), 0, 4).Draw(rt, "lost")
		plain := rapid.MapOfN(rapid.IntRange(0, n-1), rapid.Bool(), 0, n/2).Draw(rt, "plain")
		orders := make([]ledger.Order, n)
		for i := range orders {
			lead := fmt.Sprintf("r%d-%d", run, i)
			orders[i] = born(lead, "x", s.beside(lead, 2))
			if _, is := plain[i]; is {
				orders[i].Escort = nil
			}
			if which, is := lost[i]; is {
				if _, err := b.Publish(t.Context(), &nats.Msg{Subject: place(lead, which), Data: []byte("theirs")}); err != nil {
					rt.Fatal(err)
				}
			}
		}
		_, errs := l.UpdateAll(t.Context(), orders)
		for i, o := range orders {
			_, spoilt := lost[i]
			spoilt = spoilt && o.Escort != nil
			recorded := has(t, b, bus.Subject(bus.Scores, o.Lead, bus.KindState)) != 0
			switch {
			case spoilt && !errors.Is(errs[i], ledger.ErrOvertaken), !spoilt && errs[i] != nil:
				rt.Errorf("lead %d of %d, overtaken %v: %v", i, n, spoilt, errs[i])
			case recorded == spoilt, (s.stored[o.Lead] != 0) != (o.Escort != nil && !spoilt):
				rt.Errorf("lead %d of %d, overtaken %v: recorded %v, escort told %d", i, n, spoilt, recorded, s.stored[o.Lead])
			case spoilt && has(t, b, place(o.Lead, 1-lost[i])) != 0:
				rt.Errorf("lead %d of %d: a part of its escort is stored", i, n)
			}
		}
	})
}
