package handoff

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/nurturehq/nurture/pkg/ledger"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
	"github.com/nurturehq/nurture/services/handoff/internal/feed"
)

// maxOffers bounds the held leads that are offered at once.
const maxOffers = 64

// offer gives held leads to reps who became free, longest held first, without
// waiting for the leads' next wake-up. Every replica offers; the desk takes the
// first one and ignores the others.
func (s *Service) offer(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.board.Freed():
		}
		for s.offerSome(ctx) {
		}
	}
}

// offerSome makes one round of offers and reports whether another one may help.
func (s *Service) offerSome(ctx context.Context) (more bool) {
	leads, taken := s.board.Next(maxOffers), 0
	for _, lead := range leads {
		res, err := s.ledger.Update(ctx, lead, ledger.Command{Kind: feed.CmdOffer})
		switch {
		case ctx.Err() != nil, errors.Is(err, ledger.ErrStopped):
			return false
		case err != nil: // its wake-up looks at it again
			s.deps.Log.Warn("offer held lead", "lead_id", lead, "error", err)
		case res.Reason == string(desk.Assigned):
			taken++
		}
	}
	return taken > 0 && len(leads) == maxOffers
}

// observe shows who has how many leads, and how many are held for which reason.
func (s *Service) observe() (metric.Registration, error) {
	m := otel.Meter("github.com/nurturehq/nurture/services/handoff")
	load, err := m.Int64ObservableGauge("nurture_handoff_load", metric.WithDescription("Leads a rep has now: assigned or accepted."))
	if err != nil {
		return nil, fmt.Errorf("make gauge: %w", err)
	}
	held, err := m.Int64ObservableGauge("nurture_handoff_held", metric.WithDescription("Qualified leads that are held, by reason."))
	if err != nil {
		return nil, fmt.Errorf("make gauge: %w", err)
	}
	reg, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		loads, holds := s.board.Counts()
		for rep, n := range loads {
			o.ObserveInt64(load, int64(n), metric.WithAttributes(attribute.String("rep", rep)))
		}
		for reason, n := range holds {
			o.ObserveInt64(held, int64(n), metric.WithAttributes(attribute.String("reason", reason)))
		}
		return nil
	}, load, held)
	if err != nil {
		return nil, fmt.Errorf("register gauges: %w", err)
	}
	return reg, nil
}
