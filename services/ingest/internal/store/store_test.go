package store

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

func newBook(b *bus.Bus, size int) *Book {
	return New(Options{Bus: b, Now: time.Now, CacheKeys: size, Held: func(context.Context, []string) (map[string]identity.Held, error) {
		return map[string]identity.Held{}, nil
	}})
}

func key(kind identity.Kind, n int) identity.Key {
	return identity.NewHasher(make([]byte, 32)).Key(kind, fmt.Sprint(n))
}

func resolve(t *testing.T, b *Book, asks ...identity.Ask) []identity.Answer {
	t.Helper()
	answers, err := b.Resolve(t.Context(), asks)
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

func TestAThousandNewIdentitiesAreClaimedTogetherAndKept(t *testing.T) {
	log := bustest.New(t)
	first := newBook(log, 0)
	asks := make([]identity.Ask, 1500)
	for i := range asks {
		asks[i].Email = key(identity.Email, i)
	}
	answers := resolve(t, first, asks...)
	again := resolve(t, newBook(log, 0), asks...)
	for i := range asks {
		if !answers[i].New || again[i].New || again[i].Lead != answers[i].Lead {
			t.Fatalf("ask %d: %v, then %v", i, answers[i], again[i])
		}
	}
}

func TestABatchThatLosesARaceClaimsTheRest(t *testing.T) {
	log := bustest.New(t)
	mine, theirs := newBook(log, 0), newBook(log, 0)
	asks := make([]identity.Ask, 200)
	for i := range asks {
		asks[i].Anonymous = key(identity.Anonymous, i)
	}
	// Mine has looked and found nothing; then theirs takes number 70.
	g := newGroup([]*question{{asks: asks, keys: keysOf(asks)}})
	if err := mine.look(t.Context(), g, g.keys); err != nil {
		t.Fatal(err)
	}
	taken := resolve(t, theirs, asks[70])[0].Lead
	writes, err := mine.decide(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	if err := mine.log.write(t.Context(), writes, nil, false); err != nil {
		t.Fatal(err)
	}
	if mine.keep(g, writes) {
		t.Fatal("nothing was lost")
	}
	answers := resolve(t, mine, asks...)
	if answers[70].Lead != taken {
		t.Errorf("number 70 is %s, expected %s", answers[70].Lead, taken)
	}
}

func TestWhatANewLeadNeedsIsStoredWithItsClaim(t *testing.T) {
	for _, n := range []int{3, 1500} { // one behind the other, and in batches
		log := bustest.New(t)
		book := newBook(log, 0)
		var mu sync.Mutex
		told := map[string]bool{}
		book.born = func(lead string) (*nats.Msg, func(bool), error) {
			msg := bus.ExpectLast(&nats.Msg{Subject: bus.Subject(bus.Leads, lead, bus.KindKey), Data: []byte(lead)}, 0)
			return msg, func(stored bool) { mu.Lock(); defer mu.Unlock(); told[lead] = stored }, nil
		}
		asks := make([]identity.Ask, n)
		for i := range asks {
			asks[i].Anonymous = key(identity.Anonymous, i)
		}
		for _, a := range resolve(t, book, asks...) {
			got, err := log.LastMsg(t.Context(), bus.Leads, bus.Subject(bus.Leads, a.Lead, bus.KindKey))
			if err != nil || string(got.Data) != a.Lead || !told[a.Lead] {
				t.Fatalf("of %d: %v, %v, told %v", n, got, err, told[a.Lead])
			}
		}
		if len(told) != n {
			t.Errorf("%d leads were begun, want %d", len(told), n)
		}
	}
}

func TestAGroupKnowsWhatItsEarlierAsksClaimed(t *testing.T) {
	b := newBook(bustest.New(t), 0)
	e, a, u := key(identity.Email, 1), key(identity.Anonymous, 1), key(identity.User, 1)
	known := resolve(t, b, identity.Ask{Email: e})[0].Lead
	got := resolve(t, b, identity.Ask{Anonymous: a}, identity.Ask{Anonymous: a, Email: e}, identity.Ask{User: u, Anonymous: a})
	if !got[0].New || got[1].Lead != known || len(got[1].Merged) != 1 || got[1].Merged[0].From != got[0].Lead {
		t.Fatalf("answers %+v", got)
	}
	if err := b.Repoint(t.Context(), got[1].Repoint); err != nil {
		t.Fatal(err)
	}
	if after := resolve(t, b, identity.Ask{Anonymous: a}); after[0].Lead != known {
		t.Errorf("the visitor is %s, expected %s", after[0].Lead, known)
	}
}

func TestAnIdentityIsOneLeadWhoeverAsksWhereverAtOnce(t *testing.T) {
	srv := bustest.Server(t)
	// Tiny caches forget all the time; that must not matter.
	books := []*Book{newBook(bustest.Connect(t, srv), 2), newBook(bustest.Connect(t, srv), 1000), newBook(bustest.Connect(t, srv), 0)}
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		var mu sync.Mutex
		leads := map[identity.Key]string{}
		var wg sync.WaitGroup
		for range rapid.IntRange(2, 12).Draw(rt, "callers") {
			book := books[rapid.IntRange(0, 2).Draw(rt, "replica")]
			asks := make([]identity.Ask, rapid.IntRange(1, 80).Draw(rt, "asks"))
			for i := range asks {
				asks[i].Email = key(identity.Email, run*1000+rapid.IntRange(0, 100).Draw(rt, "who"))
			}
			wg.Go(func() {
				answers, err := book.Resolve(context.Background(), asks)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				for i, a := range answers {
					if was, ok := leads[asks[i].Email]; ok && was != a.Lead {
						t.Errorf("one address is %s and %s", was, a.Lead)
					}
					leads[asks[i].Email] = a.Lead
				}
			})
		}
		wg.Wait()
	})
}
