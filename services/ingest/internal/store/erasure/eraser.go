package erasure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

const (
	// again is how long an erasure rests whose next step cannot be done yet.
	again = 2 * time.Second
	// look is how often a caller who waits looks for what was missing.
	look = 50 * time.Millisecond
	// patience is how long a caller waits; what is left goes on without it.
	patience = 20 * time.Second
	// salesPatience is how long of that it waits for the CRM's answer.
	salesPatience = 5 * time.Second
)

// Deps are what an eraser works with. Redis may be nil.
type Deps struct {
	Bus    *bus.Bus
	Redis  redis.UniversalClient
	Ledger *ledger.Ledger[*ingestv1.State]
	// Keys are the identities that a submission tells.
	Keys func(*ingestv1.CaptureLeadRequest) []identity.Key
	// Release gives up identities that point at leads.
	Release func(ctx context.Context, keys []identity.Key, leads []string) (uint64, error)
	// Accounts are the companies that people belong to.
	Accounts Accounts
	// Inbound is what upstreams publish.
	Inbound bus.Transit
	// Destroy destroys the data key of a lead.
	Destroy func(ctx context.Context, lead string) error
	// Open makes a parked message whole; ledger.ErrForgotten when nobody can.
	Open func(ctx context.Context, p *ledgerv1.Parked) error
	Log  *slog.Logger
	Now  func() time.Time
}

// Eraser forgets people.
type Eraser struct {
	Deps
	// mu lets one erasure of this process go on at a time.
	mu   sync.Mutex
	wake chan struct{}
}

// New makes an eraser; Run goes on with what is not finished.
func New(d Deps) *Eraser { return &Eraser{Deps: d, wake: make(chan struct{}, 1)} }

// Request is one person's wish to be forgotten.
type Request struct {
	Lead string
	// By is who asked for it, Reason why: for the certificate.
	By, Reason string
}

// Erase forgets a person and answers the certificate. It returns when all is
// done, or after a while; what is left then goes on by itself. The error is
// ledger.ErrNotFound for a lead that does not exist.
func (e *Eraser) Erase(ctx context.Context, r Request) (*ingestv1.Erasure, error) {
	c, err := e.begin(ctx, r)
	if err != nil {
		return nil, err
	}
	defer e.rouse()
	began := e.Now()
	for {
		if err := e.advance(ctx, c.GetLeadId()); err != nil {
			return nil, err
		}
		if c, err = e.read(ctx, c.GetLeadId()); err != nil {
			return nil, err
		}
		waited := e.Now().Sub(began)
		if c.finished() || waited > patience || waited > salesPatience && onlySales(c.Erasure) {
			return c.Erasure, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: the erasure goes on: %w", ledger.ErrUnavailable, ctx.Err())
		case <-time.After(look):
		}
	}
}

// begin finds the erasure of a lead or writes a new one: from then on it will be
// finished, whatever happens.
func (e *Eraser) begin(ctx context.Context, r Request) (certificate, error) {
	found, err := e.Get(ctx, r.Lead)
	switch {
	case err == nil:
		return e.read(ctx, found.GetLeadId())
	case !errors.Is(err, ledger.ErrNotFound):
		return certificate{}, err
	}
	parts, err := e.parts(ctx, r.Lead)
	if err != nil {
		return certificate{}, err
	}
	c := certificate{Erasure: &ingestv1.Erasure{
		LeadId: r.Lead, LeadIds: parts, RequestedBy: r.By, Reason: r.Reason, RequestedAt: timestamppb.New(e.Now()),
	}}
	for _, s := range steps() {
		c.Steps = append(c.Steps, waiting(s))
	}
	if err := e.write(ctx, &c); err != nil && !errors.Is(err, bus.ErrConflict) {
		return certificate{}, err
	}
	e.Log.Info("an erasure begins", "lead_id", r.Lead, "leads", len(parts))
	return e.read(ctx, r.Lead)
}

// parts are all leads that are this person.
func (e *Eraser) parts(ctx context.Context, lead string) ([]string, error) {
	parts, seen := []string{}, map[string]bool{}
	for todo := []string{lead}; len(todo) > 0; todo = todo[1:] {
		id := todo[0]
		if seen[id] {
			continue
		}
		seen[id] = true
		entry, err := e.Ledger.Get(ctx, id)
		if errors.Is(err, ledger.ErrNotFound) && id != lead {
			continue // a claim without a record: nobody
		}
		if err != nil {
			return nil, fmt.Errorf("erase lead: %w", err)
		}
		parts = append(parts, id)
		todo = append(todo, entry.State.GetMergedFrom()...)
		if into := entry.State.GetMergedInto().GetIntoLeadId(); into != "" {
			todo = append(todo, into)
		}
	}
	return parts, nil
}

// advance does what can be done of an erasure now.
func (e *Eraser) advance(ctx context.Context, lead string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, err := e.read(ctx, lead)
	if err != nil || c.finished() {
		return err
	}
	err = e.proceed(ctx, &c)
	if errors.Is(err, bus.ErrConflict) {
		return nil // another replica goes on with it
	}
	return err
}

func (e *Eraser) rouse() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Run goes on with the erasures that are not finished, until ctx ends. At first
// it does once more what a crash may have brought back.
func (e *Eraser) Run(ctx context.Context) error {
	restored := false
	for {
		open, err := e.round(ctx, &restored)
		if err != nil && ctx.Err() == nil {
			e.Log.Warn("erasures wait", "error", err)
		}
		var tick <-chan time.Time
		if open > 0 || err != nil {
			timer := time.NewTimer(again)
			defer timer.Stop()
			tick = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.wake:
		case <-tick:
		}
	}
}

// round works on every erasure there is and counts those left open.
func (e *Eraser) round(ctx context.Context, restored *bool) (open int, err error) {
	list, err := e.all(ctx)
	if err != nil {
		return 0, err
	}
	companies := false
	for _, c := range list {
		if c.finished() {
			if !*restored {
				companies = companies || left(c.Erasure)
				err = errors.Join(err, e.restore(ctx, c.Erasure))
			}
			continue
		}
		open++
		err = errors.Join(err, e.advance(ctx, c.GetLeadId()))
	}
	if companies {
		err = errors.Join(err, e.Accounts.Rewipe(ctx))
	}
	*restored = *restored || err == nil
	return open, err
}
