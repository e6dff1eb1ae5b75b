package store

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// Members knows which leads belong to which account. Nothing of that is stored:
// a lead's record names its account, and this is the log the other way round, in
// memory, some 150 bytes a lead with an account. It is read when somebody asks
// for the first time, and followed from then on.
type Members struct {
	bus *bus.Bus
	log *slog.Logger

	start chan struct{}
	once  sync.Once

	mu       sync.Mutex
	accounts map[string]string   // by lead
	leads    map[string][]string // by account, sorted
	reader   jetstream.Consumer  // nil while there is none
	seen     uint64              // number of the record taken in last, as the reader counts
	behind   uint64              // what the reader had before it when it began
	whole    bool                // all that was there when a reader began is taken in
	strays   strays
}

// NewMembers makes a book of members over the log; Run fills it. root gives the
// account that an account is part of.
func NewMembers(b *bus.Bus, log *slog.Logger, root func(account string) string) *Members {
	return &Members{
		bus: b, log: log, start: make(chan struct{}), accounts: map[string]string{}, leads: map[string][]string{},
		strays: newStrays(root),
	}
}

// Run follows the log until ctx ends, from when somebody asks first. When it is
// interrupted it begins anew: taking a record in twice changes nothing.
func (m *Members) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-m.start:
	}
	for {
		if err := m.follow(ctx); ctx.Err() == nil {
			m.log.WarnContext(ctx, "follow the members of accounts: begin anew", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (m *Members) follow(ctx context.Context) error {
	cons, err := m.bus.JS.OrderedConsumer(ctx, bus.Leads, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{bus.Filter(bus.Leads, "*", bus.KindState)}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return fmt.Errorf("open reader of leads: %w", bus.Classify(err))
	}
	info, err := cons.Info(ctx)
	if err != nil {
		return fmt.Errorf("open reader of leads: %w", bus.Classify(err))
	}
	m.begin(cons, info.NumPending)
	defer m.begin(nil, 0)
	it, err := cons.Messages(jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return fmt.Errorf("read leads: %w", err)
	}
	defer context.AfterFunc(ctx, it.Stop)()
	defer it.Stop()
	for {
		msg, err := it.Next()
		if err != nil {
			return fmt.Errorf("read leads: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read leads: %w", err)
		}
		m.take(ctx, msg)
		m.read(meta.Sequence.Consumer)
	}
}

// take enters what one record says.
func (m *Members) take(ctx context.Context, msg jetstream.Msg) {
	lead, _, _, ok := bus.Split(msg.Subject())
	rec, state := &ledgerv1.Record{}, &ingestv1.State{}
	err := proto.Unmarshal(msg.Data(), rec)
	if err == nil {
		err = proto.Unmarshal(rec.GetState(), state)
	}
	if err != nil || !ok {
		m.log.ErrorContext(ctx, "skip undecodable record of a lead", "subject", msg.Subject(), "error", err)
		return
	}
	account := state.GetLead().GetAccountId()
	if state.GetMergedInto() != nil || state.GetErasedAt() != nil {
		account = "" // its survivor counts, or nobody
	}
	m.enter(lead, account)
}

func (m *Members) enter(lead, account string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.accounts[lead]
	if was == account {
		return
	}
	if i, found := slices.BinarySearch(m.leads[was], lead); was != "" && found {
		m.leads[was] = slices.Delete(m.leads[was], i, i+1)
		if len(m.leads[was]) == 0 {
			delete(m.leads, was)
		}
	}
	if account == "" {
		delete(m.accounts, lead)
		return
	}
	m.accounts[lead] = account
	m.strays.consider(lead, account)
	i, _ := slices.BinarySearch(m.leads[account], lead)
	m.leads[account] = slices.Insert(m.leads[account], i, lead)
}

func (m *Members) begin(reader jetstream.Consumer, behind uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reader, m.seen, m.behind = reader, 0, behind
	m.whole = m.whole || reader != nil && behind == 0
}

func (m *Members) read(seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = seq
	m.whole = m.whole || seq >= m.behind
}

// Of gives leads of an account, sorted, those after a lead, at most limit, and
// how many there are in all. It knows what was recorded up to a moment ago; who
// must know what is recorded now catches up first.
func (m *Members) Of(ctx context.Context, account, after string, limit int) (leads []string, all int, err error) {
	if err := m.first(ctx); err != nil {
		return nil, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	members := m.leads[account]
	i, found := slices.BinarySearch(members, after)
	if found {
		i++
	}
	return slices.Clone(members[i:min(len(members), i+limit)]), len(members), nil
}

// Accounts gives the accounts that have leads, sorted, those after one, at most
// limit.
func (m *Members) Accounts(ctx context.Context, after string, limit int) ([]string, error) {
	if err := m.first(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	all := slices.Sorted(maps.Keys(m.leads))
	m.mu.Unlock()
	i, found := slices.BinarySearch(all, after)
	if found {
		i++
	}
	return all[i:min(len(all), i+limit)], nil
}

// Counts gives how many leads belong to each of these accounts.
func (m *Members) Counts(ctx context.Context, accounts []string) (map[string]int, error) {
	if err := m.first(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := make(map[string]int, len(accounts))
	for _, a := range accounts {
		counts[a] = len(m.leads[a])
	}
	return counts, nil
}

// How a caller waits for the reader.
const (
	// lookAgain is how long it is let go on before it is looked at again.
	lookAgain = 5 * time.Millisecond
	// quiet is how long nothing must have come for the reader to be at the end,
	// whatever the server says is left: what was wiped meanwhile never comes.
	quiet = 2 * time.Second
)

// first waits until what was there when the reader began is read: later ones are
// answered from memory, for while much is written there is always something left
// to read.
func (m *Members) first(ctx context.Context) error {
	m.mu.Lock()
	whole := m.whole
	m.mu.Unlock()
	if whole {
		return nil
	}
	return m.wait(ctx, func(jetstream.Consumer, uint64) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.whole
	})
}

// CatchUp waits until nothing is left to read.
func (m *Members) CatchUp(ctx context.Context) error {
	return m.wait(ctx, func(reader jetstream.Consumer, seen uint64) bool {
		info, err := reader.Info(ctx)
		return err == nil && info.NumPending == 0 && seen >= info.Delivered.Consumer
	})
}

// wait lets the reader go on until it has read enough, or nothing comes any more.
func (m *Members) wait(ctx context.Context, enough func(reader jetstream.Consumer, seen uint64) bool) error {
	m.once.Do(func() { close(m.start) })
	for left := quiet; ; left -= lookAgain {
		reader, seen := m.progress()
		if reader != nil && (left <= 0 || enough(reader, seen)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: the members of accounts are still being read: %w", ledger.ErrUnavailable, ctx.Err())
		case <-time.After(lookAgain):
		}
		if r, n := m.progress(); r != reader || n != seen {
			left = quiet
		}
	}
}

func (m *Members) progress() (jetstream.Consumer, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reader, m.seen
}
