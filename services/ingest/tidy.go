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

// tidy overwrites rejects whose time is over, and forgets the keys of their days,
// until ctx ends.
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
		wiped, err := s.tidyOnce(ctx, s.deps.Now().Add(-s.cfg.RejectRetention))
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

// tidyOnce overwrites the oldest of the rejects from before a time. When none is
// left the keys of the days before are destroyed: what a copy of the log still
// has of them can be read by nobody.
func (s *Service) tidyOnce(ctx context.Context, before time.Time) (wiped int, err error) {
	if wiped, err = s.deps.Bus.WipeRejects(ctx, before, tidyMost); err != nil || wiped == tidyMost {
		return wiped, err
	}
	_, err = s.drawer.Forget(ctx, before)
	return wiped, err
}
