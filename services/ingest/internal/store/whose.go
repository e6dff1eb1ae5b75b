package store

import (
	"context"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// Whose gives the leads of identities, read from the log itself, without
// claiming anything. Keys nobody has are left out.
func (b *Book) Whose(ctx context.Context, keys []identity.Key) (map[identity.Key]string, error) {
	claims := map[identity.Key]identity.Entry{}
	if err := b.log.read(ctx, keys, claims); err != nil {
		return nil, err
	}
	leads := make(map[identity.Key]string, len(claims))
	for k, e := range claims {
		leads[k] = e.Lead
	}
	return leads, nil
}
