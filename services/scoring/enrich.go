package scoring

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ties"

	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// hear adds to the wake-ups of leads that await others what those hand over by
// now.
func (s *Service) hear(ctx context.Context, ins []*ledger.Input) error {
	for _, in := range ins {
		if !in.Due() {
			continue
		}
		e, err := s.ledger.Get(ctx, in.Lead)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return ledger.Transient(fmt.Errorf("read own lead: %w", err))
		}
		if len(e.State.GetTies().GetAwaited()) == 0 {
			continue
		}
		if in.View, err = s.handovers(ctx, e.State); err != nil {
			return ledger.Transient(err)
		}
	}
	return nil
}

func (s *Service) handovers(ctx context.Context, st *scoringv1.State) ([]byte, error) {
	all := &scoringv1.Handovers{}
	for _, a := range st.GetTies().GetAwaited() {
		other, err := s.ledger.Get(ctx, a.GetLeadId())
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read lead that hands over: %w", err)
		}
		if ties.Ready(other.State.GetTies(), a) {
			all.Of = append(all.Of, handover(other.State, a, append([]string{st.GetScore().GetLeadId()}, st.GetTies().GetFromLeadIds()...)))
		}
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("encode what leads hand over: %w", err)
	}
	return raw, nil
}
