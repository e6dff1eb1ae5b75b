package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/account"
	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// Naming is what an event tells of an account: the keys of what it tells, in
// their order, as they are claimed.
type Naming struct {
	Keys []identity.Key
	Told *ingestv1.AccountTold
}

// Accounts keeps which account a domain or a group names, and what is known of
// it. A key is claimed once, for ever, in the same commit as the record of its
// account that lists it. A key that this process has seen costs nothing; traits
// that were told before cost a read.
type Accounts struct {
	bus *bus.Bus
	now func() time.Time
	// disputed hears that keys were told of an account that belong to another one.
	disputed func(account string, n int)
	owners   *owners

	mu    sync.Mutex
	queue []*naming
	busy  bool
}

// NewAccounts makes the book of accounts over the log. size bounds the keys kept
// in memory.
func NewAccounts(b *bus.Bus, now func() time.Time, size int, disputed func(account string, n int)) *Accounts {
	return &Accounts{bus: b, now: now, disputed: disputed, owners: newOwners(size)}
}

// naming is one call of Resolve that waits for its group.
type naming struct {
	asks     []Naming
	accounts []string
	err      error
	done     chan struct{}
}

// Resolve says which account each one names. What is new is claimed and
// recorded, durably, before it returns.
func (a *Accounts) Resolve(ctx context.Context, asks []Naming) ([]string, error) {
	q := &naming{asks: asks, done: make(chan struct{})}
	a.join(q) //nolint:contextcheck // a group belongs to no single caller
	select {
	case <-q.done:
		return q.accounts, q.err
	case <-ctx.Done():
		return nil, fmt.Errorf("resolve accounts: %w", ctx.Err())
	}
}

// Known answers from memory, if nothing must be claimed, read or recorded.
func (a *Accounts) Known(asks []Naming) ([]string, bool) {
	accounts := make([]string, len(asks))
	for i, ask := range asks {
		if ask.Told.GetCompany() != nil {
			return nil, false
		}
		owner, ok := a.owners.one(ask.Keys)
		if !ok {
			return nil, false
		}
		accounts[i] = owner
	}
	return accounts, true
}

// join adds a call to the waiting group; the first one starts the work.
func (a *Accounts) join(q *naming) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = append(a.queue, q)
	if !a.busy {
		a.busy = true
		go a.work()
	}
}

func (a *Accounts) work() {
	for group := a.next(); len(group) > 0; group = a.next() {
		a.answer(group)
	}
}

func (a *Accounts) next() []*naming {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, asks := 0, 0
	for n < len(a.queue) && (n == 0 || asks+len(a.queue[n].asks) <= maxGroup) {
		asks += len(a.queue[n].asks)
		n++
	}
	group := a.queue[:n:n]
	a.queue = a.queue[n:]
	a.busy = n > 0
	return group
}

func (a *Accounts) answer(group []*naming) {
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	var all []Naming
	for _, q := range group {
		all = append(all, q.asks...)
	}
	accounts, err := a.settle(ctx, all)
	for _, q := range group {
		q.err = err
		if err == nil {
			q.accounts, accounts = accounts[:len(q.asks):len(q.asks)], accounts[len(q.asks):]
		}
		close(q.done)
	}
}

// settle decides, records what is new, and decides again when somebody else was
// faster. After some lost races each one is settled by itself.
func (a *Accounts) settle(ctx context.Context, asks []Naming) ([]string, error) {
	for round := range maxRounds {
		p, err := a.plan(ctx, asks)
		if err != nil {
			return nil, err
		}
		if p.moved {
			continue
		}
		won, err := a.write(ctx, p)
		if err != nil {
			return nil, err
		}
		if won {
			a.keep(p)
			return p.accounts, nil
		}
		if round >= patient && len(asks) > 1 {
			return a.settleEach(ctx, asks)
		}
	}
	return nil, ErrContended
}

func (a *Accounts) settleEach(ctx context.Context, asks []Naming) ([]string, error) {
	accounts := make([]string, 0, len(asks))
	for i := range asks {
		one, err := a.settle(ctx, asks[i:i+1])
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, one...)
	}
	return accounts, nil
}

// keep remembers what is on the log now.
func (a *Accounts) keep(p *plan) {
	for key, owner := range p.owners {
		a.owners.put(key, owner)
	}
	for _, id := range p.order {
		if n := p.drafts[id].disputes; n > 0 {
			a.disputed(id, n)
		}
	}
}

// newID makes the id of an account, as those of leads are made.
func (a *Accounts) newID() string {
	var random [10]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return identity.NewLead(a.now(), random)
}

// Find says which account a key names, from the log; false for none.
func (a *Accounts) Find(ctx context.Context, key identity.Key) (string, bool, error) {
	if owner, ok := a.owners.one([]identity.Key{key}); ok {
		return owner, true, nil
	}
	found, err := a.readOwners(ctx, []identity.Key{key})
	if err != nil {
		return "", false, err
	}
	owner, ok := found[key]
	return owner, ok, nil
}

// Get reads accounts; those that have no record are left out.
func (a *Accounts) Get(ctx context.Context, ids []string) (map[string]account.State, error) {
	drafts, err := a.readStates(ctx, ids)
	if err != nil {
		return nil, err
	}
	states := make(map[string]account.State, len(drafts))
	for id, d := range drafts {
		states[id] = d.state
	}
	return states, nil
}
