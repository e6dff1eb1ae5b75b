package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// Find reads a lead, or the one it is merged into; ledger.ErrNotFound when there
// is none. What was cut short is completed first.
func (s *Service) Find(ctx context.Context, lead string) (ledger.Entry[*ingestv1.State], error) {
	for range maxHops {
		e, err := s.ledger.Get(ctx, lead)
		if err != nil {
			return entry{}, err
		}
		if unfinished(e.State) {
			if err := s.complete(ctx, e); err != nil {
				return entry{}, err
			}
			continue
		}
		m := e.State.GetMergedInto()
		if m == nil {
			return e, nil
		}
		if err := s.confirm(ctx, m); err != nil {
			return entry{}, err
		}
		if e, err = s.ledger.Get(ctx, lead); err != nil {
			return entry{}, err
		}
		if m = e.State.GetMergedInto(); m == nil {
			return e, nil
		}
		lead = m.GetIntoLeadId()
	}
	return entry{}, fmt.Errorf("follow lead %s: %w", lead, errRestless)
}

func unfinished(st *ingestv1.State) bool { return len(st.GetJoining())+len(st.GetLeaving()) > 0 }

// confirm makes sure that the survivor knows of a merge. One that took back its
// promise does not: then the other lead goes on.
func (s *Service) confirm(ctx context.Context, m *ingestv1.Merge) error {
	e, err := s.ledger.Get(ctx, m.GetIntoLeadId())
	if err != nil {
		return err
	}
	if unfinished(e.State) {
		return s.complete(ctx, e)
	}
	// One that is merged itself kept what it had: without this lead in it, it
	// never took it in, and two that point at each other would be followed for ever.
	if person.Has(e.State, m.GetFromLeadId()) || e.State.GetErasedAt() != nil {
		return nil
	}
	_, err = s.step(ctx, m.GetFromLeadId(), &ingestv1.Step{Step: &ingestv1.Step_Thaw{Thaw: m.GetId()}})
	return err
}

// complete takes the missing steps of what was cut short.
func (s *Service) complete(ctx context.Context, e entry) error {
	for _, m := range e.State.GetJoining() {
		if _, err := s.finish(ctx, e.State, m); err != nil && !refused(err) && !merging(err) && !errors.Is(err, person.ErrNoMerge) && !errors.Is(err, person.ErrUnderWay) {
			return fmt.Errorf("complete merge: %w", err)
		}
	}
	for _, l := range e.State.GetLeaving() {
		if err := s.giveBack(ctx, e, l); err != nil {
			return fmt.Errorf("complete unmerge: %w", err)
		}
	}
	return nil
}

// heal completes what was cut short, after an event was recorded. If it cannot,
// the next one does.
func (s *Service) heal(ctx context.Context, e entry) {
	if err := s.complete(ctx, e); err != nil {
		s.deps.Log.WarnContext(ctx, "a merge is still under way", "lead_id", e.Lead, "error", err)
	}
}

// merging reports whether a command met a lead that is elsewhere now.
func merging(err error) bool {
	var moved *person.MovedError
	var gone *person.GoneError
	return errors.As(err, &moved) || errors.As(err, &gone)
}

// chase carries a submission to where its lead is now.
func (s *Service) chase(ctx context.Context, sub *person.Submission, o ledger.Order, met error) (ledger.Result[*ingestv1.State], error) {
	for range maxHops {
		var moved *person.MovedError
		var gone *person.GoneError
		switch {
		case errors.As(met, &moved):
			if sub.Apply.GetOrigin() == "" {
				sub.Apply.Origin = moved.Lead
			}
			o.Lead = moved.Into
		case errors.As(met, &gone):
			if _, err := s.Find(ctx, gone.Origin); err != nil && !errors.Is(err, ledger.ErrNotFound) {
				return ledger.Result[*ingestv1.State]{}, err
			}
			o.Lead, sub.Apply.Origin = gone.Origin, ""
		}
		cmd, err := sub.Command()
		if err != nil {
			return ledger.Result[*ingestv1.State]{}, err
		}
		cmd.ID, o.Command = o.ID, cmd
		res, err := s.ledger.Update(ctx, o.Lead, o.Command)
		if !merging(err) {
			return res, err
		}
		met = err
	}
	return ledger.Result[*ingestv1.State]{}, errRestless
}

// Whose finds the lead that an identity was claimed for; ledger.ErrNotFound when
// it is nobody's.
func (s *Service) Whose(ctx context.Context, who *ingestv1.Who) (string, error) {
	for _, k := range []identity.Key{
		s.hasher.Key(identity.Email, who.GetEmail()), s.hasher.Key(identity.User, who.GetUserId()),
		s.hasher.Key(identity.System, who.GetExternalId()), s.hasher.Key(identity.Anonymous, who.GetAnonymousId()),
		s.hasher.Key(identity.Phone, who.GetPhone()),
	} {
		if k.Kind == identity.None {
			continue
		}
		e, ok, err := s.book.Look(ctx, k)
		if err != nil {
			return "", err
		}
		if ok {
			return cmp.Or(e.Origin, e.Lead), nil
		}
	}
	return "", fmt.Errorf("nobody has this identity: %w", ledger.ErrNotFound)
}
