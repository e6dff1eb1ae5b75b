package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nurturehq/nurture/pkg/bus"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
)

const (
	policyKey     = "ingest.consent."
	policyTimeout = 5 * time.Second
)

// Policies keeps every version of the consent policy in the CONFIG bucket, by
// content hash, so that a decision can be verified by the policy it was made
// with. It is safe for concurrent use.
type Policies struct {
	bus     *bus.Bus
	current *consent.Policy

	mu   sync.RWMutex
	held map[string]*consent.Policy
}

// NewPolicies makes a store whose current policy is the given one. Nothing is
// stored before Open.
func NewPolicies(b *bus.Bus, current *consent.Policy) *Policies {
	return &Policies{bus: b, current: current, held: map[string]*consent.Policy{current.Version: current}}
}

// Current is the policy of decisions made now.
func (s *Policies) Current() *consent.Policy { return s.current }

// Open stores the current policy. Nothing may be decided before.
func (s *Policies) Open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, policyTimeout)
	defer cancel()
	kv, err := configBucket(ctx, s.bus)
	if err != nil {
		return err
	}
	if _, err = kv.Create(ctx, policyKey+s.current.Version, s.current.Raw); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("store consent policy: %w", bus.Classify(err))
	}
	return nil
}

// Find gives a policy by its content hash. An error is passing.
func (s *Policies) Find(hash string) (*consent.Policy, error) {
	s.mu.RLock()
	p := s.held[hash]
	s.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), policyTimeout)
	defer cancel()
	kv, err := configBucket(ctx, s.bus)
	if err != nil {
		return nil, err
	}
	entry, err := kv.Get(ctx, policyKey+hash)
	if err != nil {
		return nil, fmt.Errorf("read consent policy %s: %w", hash, bus.Classify(err))
	}
	if p, err = consent.Parse(bus.Config+"/"+policyKey+hash, entry.Value()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[hash] = p
	return p, nil
}

// configBucket opens the bucket of what was configured; whoever comes first makes it.
func configBucket(ctx context.Context, b *bus.Bus) (jetstream.KeyValue, error) {
	kv, err := b.JS.KeyValue(ctx, bus.Config)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = b.JS.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: bus.Config, Description: "Versions of programs, models, routes and templates.", Storage: jetstream.FileStorage, History: 1,
		})
		if errors.Is(err, jetstream.ErrBucketExists) {
			kv, err = b.JS.KeyValue(ctx, bus.Config)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bus.Config, bus.Classify(err))
	}
	return kv, nil
}
