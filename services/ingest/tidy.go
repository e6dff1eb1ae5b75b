package ingest

import (
	"context"
	"time"
)

const (
	// tidyEvery is how often rejects whose time is over are looked for.
	tidyEvery = time.Minute
	// tidyMost is how many are overwritten at a time: each rewrites a block of the
	// log, and nobody waits for it.
	tidyMost = 500
)

// tidy overwrites rejects whose time is over, until ctx ends.
func (s *Service) tidy(ctx context.Context) error {
	if s.cfg.RejectRetention <= 0 {
		return nil
	}
	ticks := s.deps.Tidy
	if ticks == nil {
		t := time.NewTicker(tidyEvery)
		defer t.Stop()
		ticks = t.C
	}
	for {
		wiped, err := s.deps.Bus.WipeRejects(ctx, s.deps.Now().Add(-s.cfg.RejectRetention), tidyMost)
		switch {
		case err != nil && ctx.Err() == nil:
			s.deps.Log.WarnContext(ctx, "rejects whose time is over wait", "error", err)
		case wiped > 0:
			s.deps.Log.InfoContext(ctx, "rejects whose time is over were overwritten", "rejects", wiped)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
		}
	}
}
