package ingest

import (
	"context"
	"errors"
	"slices"

	"github.com/nurturehq/nurture/pkg/ledger"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// rebirths bounds how often an event looks for a lead again because the one it
// belonged to was erased under its hands, or never began.
const rebirths = 3

// reborn tries submissions again whose lead was erased: an identity still
// pointed at it, because it was claimed just then, because this process
// remembered it, or because a crash brought it back. The person is a new lead.
// And those whose lead did not begin, because somebody else was faster with one of
// its identities: now it is known whose they are.
func (s *Service) reborn(ctx context.Context, subs []person.Submission, answers []identity.Answer, outcomes []person.Outcome) {
	for range rebirths {
		var at []int
		for i := range outcomes {
			if subs[i].Lead == "" && (errors.Is(outcomes[i].Err, person.ErrErased) || errors.Is(outcomes[i].Err, ledger.ErrOvertaken)) {
				at = append(at, i)
			}
		}
		if len(at) == 0 {
			return
		}
		if err := s.lookAgain(ctx, at, subs, answers, outcomes); err != nil {
			for _, i := range at {
				outcomes[i].Err = classify(err)
			}
			return
		}
	}
}

// lookAgain resolves and records some of the submissions once more.
func (s *Service) lookAgain(ctx context.Context, at []int, subs []person.Submission, answers []identity.Answer, outcomes []person.Outcome) error {
	again := make([]person.Submission, len(at))
	for j, i := range at {
		again[j] = subs[i]
		if !errors.Is(outcomes[i].Err, person.ErrErased) {
			continue
		}
		keys := slices.Collect(s.ask(subs[i].Apply.GetCapture()).Keys())
		if _, err := s.book.Release(ctx, keys, []string{answers[i].Lead}); err != nil {
			return err
		}
	}
	found, _, err := s.resolve(ctx, again, s.claimed)
	if err != nil {
		return err
	}
	fresh := make([]person.Outcome, len(at))
	s.recordAll(ctx, again, resolved{answers: found}, fresh)
	for j, i := range at {
		answers[i], outcomes[i] = found[j], fresh[j]
	}
	return nil
}
