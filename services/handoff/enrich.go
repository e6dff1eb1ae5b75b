package handoff

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ties"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
)

// hear adds to the wake-ups of leads that await others what those hand over by
// now.
func (s *Service) hear(ctx context.Context, ins []*ledger.Input) error {
	for _, in := range ins {
		if !in.Due() {
			continue
		}
		handed, err := s.handovers(ctx, in.Lead)
		if err != nil {
			return ledger.Transient(err)
		}
		if len(handed) == 0 {
			continue
		}
		view, err := viewOf(*in)
		if err != nil {
			return err
		}
		if view == nil {
			view = &handoffv1.RoutingView{}
		}
		view.Handovers = handed
		if in.View, err = (proto.MarshalOptions{Deterministic: true}).Marshal(view); err != nil {
			return fmt.Errorf("encode what leads hand over: %w", err)
		}
	}
	return nil
}

func (s *Service) handovers(ctx context.Context, lead string) ([]*handoffv1.Handover, error) {
	e, err := s.ledger.Get(ctx, lead)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read own lead: %w", err)
	}
	var all []*handoffv1.Handover
	for _, a := range e.State.GetTies().GetAwaited() {
		other, err := s.ledger.Get(ctx, a.GetLeadId())
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read lead that hands over: %w", err)
		}
		if ties.Ready(other.State.GetTies(), a) {
			all = append(all, desk.Hand(other.State, a, lead))
		}
	}
	return all, nil
}
