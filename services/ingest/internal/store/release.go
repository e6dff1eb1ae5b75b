package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/nurturehq/nurture/pkg/bus"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// Release gives up identities that point at one of these leads: whoever comes
// with one of them next is somebody new. It says how many there were. Claims
// that point elsewhere stay.
func (b *Book) Release(ctx context.Context, keys []identity.Key, leads []string) (released uint64, err error) {
	found := make(map[identity.Key]identity.Entry, len(keys))
	if err := b.log.read(ctx, keys, found); err != nil {
		return 0, err
	}
	for _, k := range keys {
		b.cache.drop(k)
		e, claimed := found[k]
		if !claimed || !slices.Contains(leads, e.Lead) {
			continue
		}
		if _, err := b.log.bus.Wipe(ctx, bus.Leads, Subject(k), e.Seq+1); err != nil {
			return released, fmt.Errorf("release identity: %w", err)
		}
		released++
	}
	return released, nil
}
