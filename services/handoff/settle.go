package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
)

// settleTimeout bounds the wait for an outcome's record.
const settleTimeout = 10 * time.Second

// settle folds what became of an attempt. The webhook has left or has not: one
// record says so, and it may share its commit with others.
func (s *Service) settle(ctx context.Context, lead string, o *handoffv1.DeliveryOutcome) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	raw, err := proto.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode outcome: %w", err)
	}
	_, err = s.ledger.Update(ctx, lead, ledger.Command{
		ID: fmt.Sprintf("outcome-%s-%d", o.GetDeliveryId(), o.GetAttempt()), Kind: bus.KindOutcome, Data: raw, Patient: true,
	})
	if err != nil {
		return fmt.Errorf("record outcome: %w", err)
	}
	return nil
}

// settled reports whether the outcome of an attempt was folded.
func (s *Service) settled(ctx context.Context, lead string, in *handoffv1.DeliveryIntended) (bool, error) {
	e, err := s.ledger.Get(ctx, lead)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for the outcome: %w", err)
	}
	return !desk.Awaits(e.State, in.GetDelivery().GetId(), in.GetAttempt()), nil
}
