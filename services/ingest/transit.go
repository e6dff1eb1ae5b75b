package ingest

import (
	"context"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/feed"
)

const (
	// passEvery is how often what was taken of INBOUND is removed: it is in sealed
	// records by then, and lies there in the clear.
	passEvery = time.Second
	// passMost is how many bytes may lie there while something always waits.
	passMost = 64 << 20
)

// passOn removes what was taken of INBOUND until ctx ends.
func (s *Service) passOn(ctx context.Context) error {
	inbound := feed.Transit(s.deps.Bus)
	ticks := time.NewTicker(passEvery)
	defer ticks.Stop()
	failing := false
	for {
		err := inbound.Trim(ctx, passMost)
		if err != nil && !failing && ctx.Err() == nil {
			s.deps.Log.WarnContext(ctx, "what was taken of inbound is still there", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}
