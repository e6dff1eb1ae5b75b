package campaign

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ties"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
)

// more begins a view that holds more than the book's id.
const more = 0

// pin notes in every input by which programs it is decided, and in the wake-ups
// of leads that await others what those hand over by now.
func (s *Service) pin(ctx context.Context, ins []*ledger.Input) error {
	book := s.programs.Current().ID
	for _, in := range ins {
		in.View = []byte(book)
		if !in.Due() {
			continue
		}
		taken, err := s.handovers(ctx, in.Lead)
		if err != nil {
			return ledger.Transient(err)
		}
		if len(taken) == 0 {
			continue
		}
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(&campaignv1.Pin{Book: book, Taken: taken})
		if err != nil {
			return fmt.Errorf("encode what leads hand over: %w", err)
		}
		in.View = append([]byte{more}, raw...)
	}
	return nil
}

// readPin reads what pin noted.
func readPin(view []byte) (*campaignv1.Pin, error) {
	if len(view) == 0 || view[0] != more {
		return &campaignv1.Pin{Book: string(view)}, nil
	}
	p := &campaignv1.Pin{}
	if err := proto.Unmarshal(view[1:], p); err != nil {
		return nil, fmt.Errorf("decode what leads hand over: %w", err)
	}
	return p, nil
}

// handovers asks the leads that a lead awaits for what they hand over.
func (s *Service) handovers(ctx context.Context, lead string) ([]*campaignv1.Taken, error) {
	e, err := s.ledger.Get(ctx, lead)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read own lead: %w", err)
	}
	var all []*campaignv1.Taken
	for _, a := range e.State.GetTies().GetAwaited() {
		other, err := s.ledger.Get(ctx, a.GetLeadId())
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read lead that hands over: %w", err)
		}
		if !ties.Ready(other.State.GetTies(), a) {
			continue
		}
		if taken, ok := journey.Handover(other.State); ok {
			all = append(all, taken)
		}
	}
	return all, nil
}
