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
	// maxGroup bounds the questions answered together.
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
	// claims, in the same commit; it hears whether it was stored. What was not is
	// made later. Optional.
	Born func(lead string) (msg *nats.Msg, stored func(), err error)
	// CacheKeys bounds the claims kept in memory. Default 100000.
	CacheKeys int
}

// Book answers whose an event is, and remembers it for ever.
type Book struct {
	log   claimLog
	now   func() time.Time
	held  func(ctx context.Context, leads []string) (map[string]identity.Held, error)
	born  func(lead string) (*nats.Msg, func(), error)
	cache *cache
	intro *introduced

	mu    sync.Mutex
	queue []*question
	busy  bool
}

// New makes a book over the log.
func New(o Options) *Book {
	if o.CacheKeys == 0 {
		o.CacheKeys = 100_000
	}
	return &Book{
		log: claimLog{bus: o.Bus, now: o.Now, pace: bus.NewPace()}, now: o.Now, held: o.Held, born: o.Born,
		cache: newCache(o.CacheKeys, o.Now), intro: newIntroduced(o.CacheKeys / 10),
	}
}

// question is one call of Resolve that waits for its group.
type question struct {
	asks    []identity.Ask
	answers []identity.Answer
	err     error
	done    chan struct{}
}

// Resolve says whose each event is; new identities are claimed, durably, before
// it returns. Later asks see what earlier ones claimed.
func (b *Book) Resolve(ctx context.Context, asks []identity.Ask) ([]identity.Answer, error) {
	if answers, ok := b.known(asks); ok {
		return answers, nil
	}
	q := &question{asks: asks, done: make(chan struct{})}
	b.join(q) //nolint:contextcheck // a group belongs to no single caller
	select {
	case <-q.done:
		return q.answers, q.err
	case <-ctx.Done():
		return nil, fmt.Errorf("resolve identities: %w", ctx.Err())
	}
}

// known answers from memory, if nothing must be claimed, read or weighed.
func (b *Book) known(asks []identity.Ask) ([]identity.Answer, bool) {
	v := identity.View{Claims: map[identity.Key]identity.Entry{}}
	if len(b.cache.get(keysOf(asks), v.Claims)) > 0 {
		return nil, false
	}
	answers := make([]identity.Answer, len(asks))
	for i, a := range asks {
		answers[i] = identity.Decide(a, &v, b.newLead)
		if len(v.Missing) > 0 {
			return nil, false
		}
	}
	return answers, true
}

// join adds a question to the waiting group; the first one starts the work.
func (b *Book) join(q *question) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, q)
	if !b.busy {
		b.busy = true
		go b.work()
	}
}

// work answers groups until nobody waits. While one group is being written the
// next one gathers, so groups grow with the load and an idle book answers at once.
func (b *Book) work() {
	for group := b.next(); len(group) > 0; group = b.next() {
		b.answer(group)
	}
}

func (b *Book) next() []*question {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, asks := 0, 0
	for n < len(b.queue) && (n == 0 || asks+len(b.queue[n].asks) <= maxGroup) {
		asks += len(b.queue[n].asks)
		n++
	}
	group := b.queue[:n:n]
	b.queue = b.queue[n:]
	b.busy = n > 0
	return group
}

func (b *Book) answer(group []*question) {
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	g := newGroup(group)
	err := b.settle(ctx, g)
	for _, q := range group {
		q.answers, q.err = g.answers[:len(q.asks):len(q.asks)], err
		g.answers = g.answers[len(q.asks):]
		close(q.done)
	}
}

// settle decides, claims what nobody has, and decides again what was lost to
// somebody faster.
func (b *Book) settle(ctx context.Context, g *group) error {
	for round := range maxRounds {
		unknown := b.cache.get(g.keys, g.view.Claims)
		// A visitor nobody remembers is most likely new: claiming tells as much as
		// reading, and a claim that is refused costs no fsync. It pays only while
		// claims go one by one, for one refused claim refuses a whole batch.
		if round > 0 || !g.lone || b.log.pace.Batches(b.each()*len(unknown)) {
			if err := b.look(ctx, g, unknown); err != nil {
				return err
			}
		}
		writes, err := b.decide(ctx, g)
		if err != nil || len(writes) == 0 {
			return err
		}
		beside, err := b.welcome(g)
		if err != nil {
			return err
		}
		if err := b.log.write(ctx, writes, beside, round >= patient); err != nil {
			return err
		}
		if b.keep(g, writes) {
			return nil
		}
	}
	return ErrContended
}

// welcome makes what the leads that the answers begin need beside their claims.
func (b *Book) welcome(g *group) ([]post, error) {
	if b.born == nil {
		return nil, nil
	}
	leads := g.begun()
	beside := make([]post, len(leads))
	for i, lead := range leads {
		msg, stored, err := b.born(lead)
		if err != nil {
			return nil, fmt.Errorf("begin lead: %w", err)
		}
		beside[i] = post{msg, func(uint64) { stored() }}
	}
	return beside, nil
}

// look reads claims that nobody remembers into the group's view.
func (b *Book) look(ctx context.Context, g *group, unknown []identity.Key) error {
	if err := b.log.read(ctx, unknown, g.view.Claims); err != nil {
		return err
	}
	for _, k := range unknown {
		if e, ok := g.view.Claims[k]; ok {
			b.cache.put(k, e)
		}
	}
	return nil
}

// decide decides; leads that must be weighed are read first.
func (b *Book) decide(ctx context.Context, g *group) ([]write, error) {
	for {
		writes, missing := g.decide(b.newLead)
		if len(missing) == 0 {
			return writes, nil
		}
		held, err := b.held(ctx, missing)
		if err != nil {
			return nil, fmt.Errorf("weigh leads: %w", err)
		}
		for _, l := range missing {
			g.held[l] = b.intro.complete(l, held[l])
		}
	}
}

// each is how many messages a claim of a new lead is written with.
func (b *Book) each() int {
	if b.born == nil {
		return 1
	}
	return 2
}

// keep remembers what was won and forgets what was lost; it reports whether all
// was won.
func (b *Book) keep(g *group, writes []write) (all bool) {
	all = true
	for _, w := range writes {
		if w.stored == 0 {
			all = false
			continue
		}
		b.cache.put(w.key, identity.Entry{Lead: w.to, Origin: w.origin, Seq: w.stored})
		b.intro.note(w.to, w.key.Kind)
	}
	if all {
		g.number(writes)
		return true
	}
	g.forget(writes)
	clear(g.held)
	return false
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
		b.cache.put(w.key, identity.Entry{Lead: w.to, Origin: w.origin, Seq: w.stored})
	}
	return err
}

func (b *Book) newLead() string {
	var random [10]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return identity.NewLead(b.now(), random)
}
