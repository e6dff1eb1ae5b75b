package store

import (
	"context"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// Find says whose each key is, without claiming anything: keys that nobody has
// are left out. fresh: by the log itself and not by what is remembered.
func (b *Book) Find(ctx context.Context, keys []identity.Key, fresh bool) (map[identity.Key]string, error) {
	claims := map[identity.Key]identity.Entry{}
	unknown := keys
	if !fresh {
		unknown = b.cache.get(keys, claims)
	}
	if len(unknown) > 0 {
		if err := b.log.read(ctx, unknown, claims); err != nil {
			return nil, err
		}
	}
	leads := make(map[identity.Key]string, len(claims))
	for k, e := range claims {
		if e.Lead != "" {
			leads[k] = e.Lead
		}
	}
	return leads, nil
}
