// Package store keeps whose an identity is: one message per identity in the
// log, written only on top of the one it was decided on. Concurrent questions
// are answered together, with one read and one group of writes.
package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/nurturehq/nurture/pkg/bus"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// Limits of one group.
const (
	// maxRounds: a group that loses so many races in a row gives up.
	maxRounds = 16
	// patient: after so many lost races claims go one by one.
	patient = 2
	// groupTimeout bounds one group: it belongs to no single caller.
	groupTimeout = 8 * time.Second
	// maxGroup bounds the asks answered together.
	maxGroup = 4000
)

// ErrContended: the identities kept changing hands. Trying again helps.
var ErrContended = errors.New("identities are contended")

// Options say what a Book works with. All but CacheKeys are required.
type Options struct {
	Bus *bus.Bus
	Now func() time.Time
	// Held reads what is known about leads; a lead without record is left out.
	Held func(ctx context.Context, leads []string) (map[string]identity.Held, error)
	// Born makes what a lead that is about to begin needs on the log beside its
	// claims, in the same commit; settled hears once whether it was stored. What
	// was not is made later. Optional.
	Born func(lead string) (msg *nats.Msg, settled func(stored bool), err error)
	// CacheKeys bounds the claims kept in memory. Default 100000.
	CacheKeys int
}

// Book answers whose an event is, and remembers it for ever.
type Book struct {
	log   claimLog
	now   func() time.Time
	held  func(ctx context.Context, leads []string) (map[string]identity.Held, error)
	born  func(lead string) (*nats.Msg, func(stored bool), error)
	cache *cache
	intro *introduced
	// each is how many messages a new lead is besides its claims.
	each int

	mu    sync.Mutex
	queue []*question
	busy  bool
	// flying are keys whose claims are to be stored with the first record of a
	// lead: who asks about one waits until it is known what became of them.
	flying map[identity.Key]struct{}
}

// New makes a book over the log.
func New(o Options) *Book {
	if o.CacheKeys == 0 {
		o.CacheKeys = 100_000
	}
	b := &Book{
		log: claimLog{bus: o.Bus, now: o.Now, pace: bus.NewPace()}, now: o.Now, held: o.Held, born: o.Born,
		cache: newCache(o.CacheKeys, o.Now), intro: newIntroduced(o.CacheKeys / 10),
		flying: map[identity.Key]struct{}{}, each: 1,
	}
	if b.born != nil {
		b.each++
	}
	return b
}

// Resolve says whose each event is; new identities are claimed, durably, before
// it returns. Later asks see what earlier ones claimed.
func (b *Book) Resolve(ctx context.Context, asks []identity.Ask) ([]identity.Answer, error) {
	answers, _, err := b.ask(ctx, &question{asks: asks})
	return answers, err
}

// Begin is Resolve for a caller that records the events right away: where much
// is written at once, the claims of leads that begin are left to be stored in
// one commit with their first records. These are the pledges, which the caller
// must end.
func (b *Book) Begin(ctx context.Context, asks []identity.Ask) ([]identity.Answer, Pledges, error) {
	return b.ask(ctx, &question{asks: asks, records: true})
}

func (b *Book) ask(ctx context.Context, q *question) ([]identity.Answer, Pledges, error) {
	q.keys = keysOf(q.asks)
	if answers, ok := b.known(q); ok {
		return answers, nil, nil
	}
	q.done = make(chan struct{})
	b.join(q) //nolint:contextcheck // a group belongs to no single caller
	select {
	case <-q.done:
		return q.answers, q.pledges, q.err
	case <-ctx.Done():
		go func() { //nolint:contextcheck // a group belongs to no single caller
			<-q.done
			q.pledges.End()
		}()
		return nil, nil, fmt.Errorf("resolve identities: %w", ctx.Err())
	}
}

// known answers from memory, if nothing must be claimed, read or weighed.
func (b *Book) known(q *question) ([]identity.Answer, bool) {
	v := identity.View{Claims: map[identity.Key]identity.Entry{}}
	if len(b.cache.get(q.keys, v.Claims)) > 0 {
		return nil, false
	}
	answers := make([]identity.Answer, len(q.asks))
	for i, a := range q.asks {
		answers[i] = identity.Decide(a, &v, b.newLead)
		if len(v.Missing) > 0 {
			return nil, false
		}
	}
	return answers, true
}

// Look reads whose a key is, from the log; false when it is nobody's.
func (b *Book) Look(ctx context.Context, k identity.Key) (identity.Entry, bool, error) {
	found := map[identity.Key]identity.Entry{}
	if err := b.log.read(ctx, []identity.Key{k}, found); err != nil {
		return identity.Entry{}, false, err
	}
	e, ok := found[k]
	return e, ok, nil
}

// Repoint gives claimed keys to other leads. A key that somebody else moved
// meanwhile stays where it is.
func (b *Book) Repoint(ctx context.Context, moves []identity.Repoint) error {
	writes := make([]write, len(moves))
	for i, m := range moves {
		writes[i] = write{key: m.Key, to: m.To, origin: m.Origin, seq: m.Seq}
	}
	err := b.log.write(ctx, writes, nil, true)
	for _, w := range writes {
		if w.stored == 0 {
			b.cache.drop(w.key)
			continue
		}
		b.cache.put(w.key, w.entry())
	}
	return err
}

func (b *Book) newLead() string {
	var random [10]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return identity.NewLead(b.now(), random)
}
