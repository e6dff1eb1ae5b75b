package ingest

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// heed keeps the suppression list and the leads in step, before anything is
// recorded: who must not be contacted is written down by address, and whoever
// comes with an address that is on the list must not be contacted either.
func (s *Service) heed(ctx context.Context, subs []person.Submission, answers []identity.Answer) error {
	version := s.policies.Current().Version
	var leaving, arriving []int
	for i := range subs {
		s.attend(subs[i].Apply)
		if s.matters(subs[i].Apply) {
			subs[i].Apply.Policy = version
		}
		if subs[i].Apply.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
			leaving = append(leaving, i)
		}
		if subs[i].Apply.GetCapture().GetProfile().GetEmail() != "" && claimsEmail(answers[i]) {
			arriving = append(arriving, i)
		}
	}
	if err := s.remember(ctx, subs, answers, leaving); err != nil {
		return err
	}
	return s.recognise(ctx, subs, arriving)
}

// matters reports whether a command can change what is permitted. Most
// activities cannot.
func (s *Service) matters(cmd *ingestv1.Apply) bool {
	c := cmd.GetCapture()
	return c.GetProfile().GetEmail() != "" || c.GetProfile().GetCountry() != "" || len(c.GetConsents()) > 0 ||
		cmd.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED || cmd.GetConsentAct() != nil || len(cmd.GetMerged()) > 0
}

func claimsEmail(ans identity.Answer) bool {
	if ans.Replayed {
		return true // it may have been claimed before a crash
	}
	for _, k := range ans.Claim {
		if k.Kind == identity.Email {
			return true
		}
	}
	return false
}

// remember puts the addresses of leads that must not be contacted on the list.
func (s *Service) remember(ctx context.Context, subs []person.Submission, answers []identity.Answer, leaving []int) error {
	if len(leaving) == 0 {
		return nil
	}
	leads := make([]string, 0, len(leaving))
	for _, i := range leaving {
		if identity.ValidLead(answers[i].Lead) {
			leads = append(leads, answers[i].Lead)
		}
	}
	held, err := s.ledger.BatchGet(ctx, leads, true)
	if err != nil {
		return fmt.Errorf("read who must not be contacted: %w", err)
	}
	for _, i := range leaving {
		cmd := subs[i].Apply
		e := &ingestv1.SuppressionEntry{
			Reason: cmd.GetSuppression(), Source: cmd.GetCapture().GetSource(),
			At: person.Clamp(cmd.GetCapture().GetOccurredAt(), s.deps.Now()),
		}
		keys := s.addresses(cmd, held[answers[i].Lead].State)
		if _, err := s.suppressed.Add(ctx, keys, e); err != nil {
			return err
		}
	}
	return nil
}

// addresses are the keys of the addresses that a suppression is about: the one
// that bounced, else all that the person ever had.
func (s *Service) addresses(cmd *ingestv1.Apply, st *ingestv1.State) []identity.Key {
	emails := map[string]bool{cmd.GetCapture().GetProfile().GetEmail(): true, st.GetLead().GetProfile().GetEmail(): true}
	if cmd.GetSuppression() != leadv1.Suppression_SUPPRESSION_HARD_BOUNCE {
		for _, e := range st.GetEmails() {
			emails[e] = true
		}
	}
	delete(emails, "")
	keys := make([]identity.Key, 0, len(emails))
	for e := range emails {
		keys = append(keys, s.hasher.Key(identity.Suppressed, e))
	}
	return keys
}

// recognise notes what the list says about addresses that are new to their lead.
func (s *Service) recognise(ctx context.Context, subs []person.Submission, arriving []int) error {
	if len(arriving) == 0 {
		return nil
	}
	emails := make([]string, len(arriving))
	for j, i := range arriving {
		emails[j] = subs[i].Apply.GetCapture().GetProfile().GetEmail()
	}
	found, err := s.Look(ctx, emails)
	if err != nil {
		return err
	}
	for j, i := range arriving {
		if e := found[emails[j]]; e != nil && !e.GetLifted() {
			subs[i].Apply.Address = e
		}
	}
	return nil
}

// Look reads what the list says about normalised addresses, also lifted entries.
func (s *Service) Look(ctx context.Context, emails []string) (map[string]*ingestv1.SuppressionEntry, error) {
	keys, byKey := make([]identity.Key, 0, len(emails)), make(map[identity.Key]string, len(emails))
	for _, e := range emails {
		if k := s.hasher.Key(identity.Suppressed, e); e != "" && byKey[k] == "" {
			byKey[k] = e
			keys = append(keys, k)
		}
	}
	found, err := s.suppressed.Look(ctx, keys)
	if err != nil {
		return nil, err
	}
	entries := make(map[string]*ingestv1.SuppressionEntry, len(found))
	for k, e := range found {
		entries[byKey[k]] = e
	}
	return entries, nil
}

// Suppress puts addresses on the list and then tells the leads that have them.
// Places in emails of what is no address come back as invalid.
func (s *Service) Suppress(ctx context.Context, emails []string, e *ingestv1.SuppressionEntry) (added int, invalid []uint32, err error) {
	if e.GetAt() == nil {
		e.At = timestamppb.New(s.deps.Now())
	}
	var list, claims []identity.Key
	for i, text := range emails {
		email, err := normal.Email(text)
		if err != nil || email == "" {
			invalid = append(invalid, uint32(i)) //nolint:gosec // at most 1000
			continue
		}
		list = append(list, s.hasher.Key(identity.Suppressed, email))
		claims = append(claims, s.hasher.Key(identity.Email, email))
	}
	if added, err = s.suppressed.Add(ctx, list, e); err != nil {
		return added, invalid, err
	}
	return added, invalid, s.tellLeads(ctx, claims, func() *ingestv1.Apply {
		return &ingestv1.Apply{
			Suppression: e.GetReason(), Capture: &ingestv1.CaptureLeadRequest{Source: e.GetSource(), OccurredAt: e.GetAt()},
		}
	})
}

// Lift takes an address off the list, and tells the lead that has it.
func (s *Service) Lift(ctx context.Context, email string, by *ingestv1.SuppressionEntry, allowed func(*ingestv1.SuppressionEntry) error) (bool, error) {
	email, err := normal.Email(email)
	if err != nil {
		return false, err
	}
	by.At = timestamppb.New(s.deps.Now())
	done, err := s.suppressed.Lift(ctx, s.hasher.Key(identity.Suppressed, email), by, allowed)
	if err != nil {
		return done, err
	}
	return done, s.tellLeads(ctx, []identity.Key{s.hasher.Key(identity.Email, email)}, func() *ingestv1.Apply {
		return &ingestv1.Apply{ConsentAct: &ingestv1.ConsentAct{Lift: &ingestv1.SuppressionLifted{Reason: by.GetNote(), By: by.GetBy()}}}
	})
}

// List gives the entries that count.
func (s *Service) List(ctx context.Context, after uint64, limit int) ([]*ingestv1.ListedSuppression, uint64, error) {
	return s.suppressed.List(ctx, after, limit)
}

// tellLeads sends a command to the leads that have these addresses now.
func (s *Service) tellLeads(ctx context.Context, claims []identity.Key, cmd func() *ingestv1.Apply) error {
	leads, err := s.book.Find(ctx, claims, true)
	if err != nil {
		return err
	}
	subs := make([]person.Submission, 0, len(leads))
	for _, k := range claims {
		if lead := leads[k]; lead != "" {
			subs = append(subs, person.Submission{Kind: person.KindConsent, Lead: lead, Apply: cmd()})
			delete(leads, k)
		}
	}
	var errs []error
	for _, out := range s.accept(ctx, subs) {
		if out.Err != nil && !errors.Is(out.Err, person.ErrUnknownLead) {
			errs = append(errs, out.Err)
		}
	}
	return errors.Join(errs...)
}
