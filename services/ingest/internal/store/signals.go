package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nurturehq/nurture/pkg/bus"

	"github.com/nurturehq/nurture/services/ingest/internal/signal"
)

const signalsKey = "ingest.signals."

// Signals keeps every version of the rules of signals in the CONFIG bucket, by
// content hash, so that a verdict can be verified by the rules it was given by.
// It is safe for concurrent use.
type Signals struct {
	bus *bus.Bus

	mu      sync.RWMutex
	current *signal.Rules
	held    map[string]*signal.Rules
}

// NewSignals makes a store whose current rules are the given ones. Nothing is
// stored before Open.
func NewSignals(b *bus.Bus, current *signal.Rules) *Signals {
	return &Signals{bus: b, current: current, held: map[string]*signal.Rules{current.Version: current}}
}

// Current are the rules of verdicts given now.
func (s *Signals) Current() *signal.Rules {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.current
}

// Open stores the current rules. Nothing may be judged before.
func (s *Signals) Open(ctx context.Context) error { return s.Use(ctx, s.Current()) }

// Use stores rules and makes them the current ones.
func (s *Signals) Use(ctx context.Context, r *signal.Rules) error {
	ctx, cancel := context.WithTimeout(ctx, policyTimeout)
	defer cancel()
	kv, err := configBucket(ctx, s.bus)
	if err != nil {
		return err
	}
	if _, err = kv.Create(ctx, signalsKey+r.Version, r.Raw); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("store rules of signals: %w", bus.Classify(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.held[r.Version] = r, r
	return nil
}

// Find gives rules by their content hash. An error is passing.
func (s *Signals) Find(hash string) (*signal.Rules, error) {
	s.mu.RLock()
	r := s.held[hash]
	s.mu.RUnlock()
	if r != nil {
		return r, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), policyTimeout)
	defer cancel()
	kv, err := configBucket(ctx, s.bus)
	if err != nil {
		return nil, err
	}
	entry, err := kv.Get(ctx, signalsKey+hash)
	if err != nil {
		return nil, fmt.Errorf("read rules of signals %s: %w", hash, bus.Classify(err))
	}
	if r, err = signal.Decode(entry.Value()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[hash] = r
	return r, nil
}
