package population

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"
)

func options(leads int, seed uint64) Options {
	return Options{Leads: leads, Seed: seed, Over: time.Second, React: 200 * time.Millisecond}
}

// life plays a person's visit and the reactions to some mails.
func life(p *Person, mails int) []Reaction {
	out := make([]Reaction, 0, mails)
	for range mails {
		out = append(out, p.React())
	}
	return out
}

func TestTheSameSeedMakesTheSamePeopleWithTheSameLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := options(rapid.IntRange(0, 60).Draw(t, "leads"), rapid.Uint64().Draw(t, "seed"))
		a, b := New(o), New(o)
		if diff := cmp.Diff(a, b, cmpopts.IgnoreUnexported(Person{})); diff != "" {
			t.Fatalf("people differ:\n%s", diff)
		}
		// b reacts in another order of people: nobody's dice are another's.
		for i := range a {
			if diff := cmp.Diff(life(a[i], 6), life(b[i], 6)); diff != "" {
				t.Fatalf("person %d reacts differently:\n%s", i, diff)
			}
		}
	})
}

func TestAFifthOfTheLeadsIsReadyNowAndAsksForADemo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		people := New(options(100, rapid.Uint64().Draw(t, "seed")))
		ready := 0
		for _, p := range people {
			asks := p.Visit[len(p.Visit)-1].Kind == AskDemo
			if asks != (p.Readiness == ReadyNow) {
				t.Fatalf("person %d is %s and asks=%v", p.N, p.Readiness, asks)
			}
			if asks {
				ready++
			}
		}
		if ready != 20 {
			t.Fatalf("%d of 100 are ready now, want 20", ready)
		}
	})
}

func TestEverybodyRaisesTheHandInTimeAndLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := options(50, rapid.Uint64().Draw(t, "seed"))
		for _, p := range New(o) {
			for i, s := range p.Visit {
				if s.At < 0 || s.At > o.Over || (i > 0 && s.At < p.Visit[i-1].At) {
					t.Fatalf("person %d does step %d at %s", p.N, i, s.At)
				}
				if last := i == len(p.Visit)-1; (s.Kind == ViewPage) == last {
					t.Fatalf("person %d: step %d of %d is %s", p.N, i, len(p.Visit), s.Kind)
				}
			}
		}
	})
}

func TestAddressesAreUniqueAndReachNobody(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range New(options(500, 7)) {
		email := p.Profile.Email
		if seen[email] || !strings.HasSuffix(email, ".example") {
			t.Errorf("address %q is taken or real", email)
		}
		seen[email] = true
	}
}

func TestPhoneNumbersAreOnesThatFormsTake(t *testing.T) {
	for _, where := range places() {
		for n := range 100 {
			number, err := phonenumbers.Parse(fmt.Sprintf(where.phone, n), "")
			if err != nil || !phonenumbers.IsValidNumber(number) {
				t.Fatalf("%s: "+where.phone+" is no phone number", where.country, n)
			}
		}
	}
}

func TestWhoeverUnsubscribedDoesNothingMore(t *testing.T) {
	left := 0
	for _, p := range New(options(5000, 3)) {
		gone := false
		for _, r := range life(p, 12) {
			if gone && (r.Open || r.Click || r.Unsubscribe) {
				t.Fatalf("person %d still reacts: %+v", p.N, r)
			}
			if r.Unsubscribe {
				gone, left = true, left+1
			}
		}
	}
	if left == 0 {
		t.Error("nobody of 5000 unsubscribed: nothing was proved")
	}
}

func TestWarmerPeopleClickMore(t *testing.T) {
	clicks, mails := map[Readiness]float64{}, map[Readiness]float64{}
	for _, p := range New(options(20000, 5)) {
		was := p.Readiness
		mails[was]++
		if p.React().Click {
			clicks[was]++
		}
	}
	for r := Unaware; r < ReadyNow; r++ {
		if clicks[r]/mails[r] >= clicks[r+1]/mails[r+1] {
			t.Errorf("%s clicks %.3f, %s %.3f", r, clicks[r]/mails[r], r+1, clicks[r+1]/mails[r+1])
		}
	}
}

func TestSalesAcceptsMostAndTakesTheSecondTimeSeriously(t *testing.T) {
	count := func(round uint64) map[Verdict]int {
		n := map[Verdict]int{}
		for _, p := range New(options(1000, 9)) {
			n[Judge(9, p.Profile.Email, round, time.Second).Verdict]++
		}
		return n
	}
	first, second := count(1), count(2)
	back := first[NotReady] + first[NoBudget]
	if back < 180 || back > 320 || first[AcceptAndWin] == 0 || first[AcceptAndLose] == 0 {
		t.Errorf("first round: %v", first)
	}
	if second[NotReady]+second[NoBudget] != 0 {
		t.Errorf("second round: %v", second)
	}
}
