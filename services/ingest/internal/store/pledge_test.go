package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// clerk records events of leads as the ledger does: the pledges of a question
// are stored together with the records, or none of it is.
type clerk struct {
	book *Book
	bus  *bus.Bus
}

// record stores one record of each lead of the answers and gives the leads that
// were overtaken.
func (c clerk) record(ctx context.Context, answers []identity.Answer, pledges Pledges) (overtaken map[string]bool, err error) {
	overtaken = map[string]bool{}
	seen := map[string]bool{}
	for _, a := range answers {
		if seen[a.Lead] {
			continue
		}
		seen[a.Lead] = true
		msgs := []*nats.Msg{}
		escort := pledges.Escort(a.Lead)
		if escort != nil {
			msgs = append(msgs, escort.Msgs...)
		}
		msgs = append(msgs, &nats.Msg{Subject: bus.Subject(bus.Leads, a.Lead, bus.KindState), Header: nats.Header{}})
		ack, err := jetstreamext.PublishMsgBatch(ctx, c.bus.JS, msgs, jetstreamext.BatchFlowControl{})
		if errors.Is(bus.Classify(err), bus.ErrConflict) {
			overtaken[a.Lead] = true
			continue
		}
		if err != nil {
			return overtaken, err
		}
		if escort != nil {
			escort.Stored(ack.Sequence - uint64(len(escort.Msgs)))
		}
	}
	return overtaken, nil
}

// take resolves and records, and again what was overtaken, as ingest does.
func (c clerk) take(ctx context.Context, asks []identity.Ask) ([]identity.Answer, error) {
	answers, pledges, err := c.book.Begin(ctx, asks)
	defer pledges.End()
	if err != nil {
		return nil, err
	}
	lost, err := c.record(ctx, answers, pledges)
	pledges.End()
	if err != nil || len(lost) == 0 {
		return answers, err
	}
	again, err := c.book.Resolve(ctx, asks)
	if err != nil {
		return nil, err
	}
	for i := range answers {
		if lost[answers[i].Lead] {
			answers[i] = again[i]
		}
	}
	_, err = c.record(ctx, answers, nil)
	return answers, err
}

// leaving makes a book that leaves claims to first records whatever the load is.
func leaving(b *bus.Bus, size int) *Book {
	book := newBook(b, size)
	book.each = 100
	return book
}

func claims(t *testing.T, b *bus.Bus, keys ...identity.Key) map[identity.Key]identity.Entry {
	t.Helper()
	found := map[identity.Key]identity.Entry{}
	if err := (claimLog{bus: b}).read(t.Context(), keys, found); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAPledgeIsOnTheLogWithTheFirstRecordAndNotBefore(t *testing.T) {
	log := bustest.New(t)
	book := leaving(log, 0)
	settled := map[string]bool{}
	book.born = func(lead string) (*nats.Msg, func(bool), error) {
		msg := bus.ExpectLast(&nats.Msg{Subject: bus.Subject(bus.Leads, lead, bus.KindKey), Data: []byte(lead)}, 0)
		return msg, func(stored bool) { settled[lead] = stored }, nil
	}
	e, a := key(identity.Email, 1), key(identity.Anonymous, 1)
	asks := []identity.Ask{{Anonymous: a}, {Anonymous: a, Email: e}}
	answers, pledges, err := book.Begin(t.Context(), asks)
	if err != nil {
		t.Fatal(err)
	}
	lead := answers[0].Lead
	if !answers[0].New || answers[1].Lead != lead || len(pledges) != 1 || len(claims(t, log, e, a)) != 0 {
		t.Fatalf("answers %+v, pledges %v, claims %v", answers, pledges, claims(t, log, e, a))
	}
	if _, ok := book.known(&question{asks: asks, keys: keysOf(asks)}); ok || len(settled) != 0 {
		t.Fatal("what is not stored is known")
	}
	if lost, err := (clerk{book, log}).record(t.Context(), answers, pledges); err != nil || len(lost) != 0 {
		t.Fatal(lost, err)
	}
	got := claims(t, log, e, a)
	known := map[identity.Key]identity.Entry{}
	if unknown := book.cache.get([]identity.Key{e, a}, known); len(unknown) > 0 || !maps.Equal(known, got) || got[e].Lead != lead || got[a].Lead != lead {
		t.Errorf("the log has %v, the book remembers %v", got, known)
	}
	if !settled[lead] {
		t.Error("what the lead needs besides was not told that it is stored")
	}
}

func TestWhoAsksForAPledgedKeyWaitsUntilItIsStored(t *testing.T) {
	log := bustest.New(t)
	book := leaving(log, 0)
	ask := []identity.Ask{{Anonymous: key(identity.Anonymous, 1)}}
	first, pledges, err := book.Begin(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	const others = 5
	leads := make(chan string, others)
	for range others {
		go func() {
			answers, more, err := book.Begin(context.Background(), ask)
			if err != nil || len(more) > 0 {
				t.Error(more, err)
			}
			leads <- answers[0].Lead
		}()
	}
	eventually(t, func() bool { book.mu.Lock(); defer book.mu.Unlock(); return len(book.queue) == others && !book.busy })
	if _, err := (clerk{book, log}).record(t.Context(), first, pledges); err != nil {
		t.Fatal(err)
	}
	for range others {
		if lead := <-leads; lead != first[0].Lead {
			t.Errorf("the visitor is %s and %s", first[0].Lead, lead)
		}
	}
}

func TestAPledgeThatCameToNothingLetsTheNextOneBegin(t *testing.T) {
	log := bustest.New(t)
	book := leaving(log, 0)
	ask := []identity.Ask{{Anonymous: key(identity.Anonymous, 1)}}
	first, pledges, err := book.Begin(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	gaveUp, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := book.Begin(gaveUp, ask); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	pledges.End()
	escort := pledges.Escort(first[0].Lead)
	escort.Stored(7) // too late: nobody believes it
	second, err := clerk{book, log}.take(t.Context(), ask)
	if err != nil || second[0].Lead == first[0].Lead {
		t.Fatalf("%v, %v", second, err)
	}
	if got := claims(t, log, ask[0].Anonymous)[ask[0].Anonymous]; got.Lead != second[0].Lead {
		t.Errorf("the log says %v", got)
	}
	eventually(t, func() bool { book.mu.Lock(); defer book.mu.Unlock(); return len(book.flying)+len(book.queue) == 0 })
}

// TestAPersonIsOneLeadWhoeverBeginsItWhereverAtOnce asks several books on one log at once,
// with keys that join, and checks that what was pledged and what was claimed agree.
func TestAPersonIsOneLeadWhoeverBeginsItWhereverAtOnce(t *testing.T) {
	srv := bustest.Server(t)
	var clerks []clerk
	for _, size := range []int{2, 1000, 0} {
		log := bustest.Connect(t, srv)
		clerks = append(clerks, clerk{leaving(log, size), log})
	}
	clerks[2].book.each = 1 // this one leaves only when there is much to write
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		var mu sync.Mutex
		leads := map[identity.Key]map[string]bool{}
		var wg sync.WaitGroup
		for range rapid.IntRange(2, 10).Draw(rt, "callers") {
			c := clerks[rapid.IntRange(0, 2).Draw(rt, "replica")]
			asks := make([]identity.Ask, rapid.IntRange(1, 12).Draw(rt, "asks"))
			for i := range asks {
				who := run*1000 + rapid.IntRange(0, 20).Draw(rt, "who")
				asks[i].Email = key(identity.Email, who)
				if rapid.Bool().Draw(rt, "numbered") {
					asks[i].External = key(identity.External, who)
				}
			}
			wg.Go(func() {
				answers, err := c.take(context.Background(), asks)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				for i, a := range answers {
					if leads[asks[i].Email] == nil {
						leads[asks[i].Email] = map[string]bool{}
					}
					leads[asks[i].Email][a.Lead] = true
				}
			})
		}
		wg.Wait()
		stored := claims(t, clerks[0].bus, slices.Collect(maps.Keys(leads))...)
		for k, of := range leads {
			if len(of) != 1 || !of[stored[k].Lead] {
				rt.Errorf("one address is %v, the log says %s", of, stored[k].Lead)
			}
		}
	})
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never comes to that")
		}
	}
}
