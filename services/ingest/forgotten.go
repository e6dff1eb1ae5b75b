package ingest

import (
	"context"
	"errors"
	"slices"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// rebirths bounds how often an event looks for a new lead because the one it
// belonged to was erased under its hands.
const rebirths = 3

// reborn tries submissions again whose lead was erased: an identity still
// pointed at it, because it was claimed just then, because this process
// remembered it, or because a crash brought it back. The person is a new lead.
func (s *Service) reborn(ctx context.Context, subs []person.Submission, answers []identity.Answer, outcomes []person.Outcome) {
	for range rebirths {
		var at []int
		for i := range outcomes {
			if subs[i].Lead == "" && errors.Is(outcomes[i].Err, person.ErrErased) {
				at = append(at, i)
			}
		}
		if len(at) == 0 {
			return
		}
		again := make([]person.Submission, len(at))
		for j, i := range at {
			again[j] = subs[i]
			keys := slices.Collect(s.ask(subs[i].Apply.GetCapture()).Keys())
			if _, err := s.book.Release(ctx, keys, []string{answers[i].Lead}); err != nil {
				outcomes[i].Err = classify(err)
				return
			}
		}
		found, err := s.resolve(ctx, again)
		if err != nil {
			for _, i := range at {
				outcomes[i].Err = classify(err)
			}
			return
		}
		fresh := make([]person.Outcome, len(at))
		s.recordAll(ctx, again, found, fresh)
		for j, i := range at {
			answers[i], outcomes[i] = found[j], fresh[j]
		}
	}
}
