package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nurturehq/nurture/pkg/ledger"
)

// contains reports whether a lead's records, or those of leads that are the same
// person, contain a submission. A claim alone does not say so: the process may
// have died between the claim and the record.
func (s *Service) contains(ctx context.Context, lead, id string) (bool, error) {
	e, err := s.Find(ctx, lead)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, l := range append([]string{lead, e.Lead}, e.State.GetMergedFrom()...) {
		found, err := s.recordHas(ctx, l, id)
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (s *Service) recordHas(ctx context.Context, lead, id string) (bool, error) {
	history, err := s.ledger.History(ctx, lead)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the submission: %w", err)
	}
	for _, e := range slices.Backward(history) {
		for _, c := range e.Record.GetCauses() {
			if c.GetId() == id {
				return true, nil
			}
		}
	}
	return false, nil
}
