package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// Results of confirming, and of asking for another mail.
const (
	resultConfirmed = "confirmed"
	resultAlready   = "already_confirmed"
	resultWithdrawn = "withdrawn"
	resultAsked     = "asked"
	resultBefore    = "asked_before"
	resultNothing   = "nothing_pending"
)

// asOfNow gives leads with the permissions of now. With fresh the suppression
// list is asked too: an address may be on it although its lead does not know yet.
func (s *Server) asOfNow(ctx context.Context, leads []*leadv1.Lead, fresh bool) ([]*leadv1.Lead, error) {
	if s.Policy == nil {
		return leads, nil
	}
	var listed map[string]*ingestv1.SuppressionEntry
	if fresh && s.Suppressed != nil {
		emails := make([]string, len(leads))
		for i, l := range leads {
			emails[i] = l.GetProfile().GetEmail()
		}
		var err error
		if listed, err = s.Suppressed.Look(ctx, emails); err != nil {
			return nil, err
		}
	}
	now := make([]*leadv1.Lead, len(leads))
	for i, l := range leads {
		l = proto.CloneOf(l) // the state belongs to the ledger
		if e := listed[l.GetProfile().GetEmail()]; !e.GetLifted() && consent.Weight(e.GetReason()) > consent.Weight(l.GetSuppression()) {
			l.Suppression, l.SuppressedAt = e.GetReason(), e.GetAt()
		}
		l.Permissions = s.Policy.Permissions(l)
		for _, perm := range l.GetPermissions() {
			perm.Title = s.Policy.Purpose(perm.GetPurpose()).Title
		}
		now[i] = l
	}
	return now, nil
}

// leadNow reads one lead as of now, from the log itself.
func (s *Server) leadNow(ctx context.Context, id string) (*leadv1.Lead, error) {
	resp, err := s.BatchGetLeads(ctx, &ingestv1.BatchGetLeadsRequest{LeadIds: []string{id}, Fresh: true})
	if err != nil {
		return nil, err
	}
	if len(resp.GetLeads()) == 0 {
		return nil, fmt.Errorf("lead %.64q: %w", id, ledger.ErrNotFound)
	}
	return resp.GetLeads()[0], nil
}

// ListPreferences answers what the preference page of a lead shows.
func (s *Server) ListPreferences(ctx context.Context, req *ingestv1.ListPreferencesRequest) (*ingestv1.ListPreferencesResponse, error) {
	lead, err := s.leadNow(ctx, req.GetLeadId())
	if err != nil {
		return nil, err
	}
	resp := &ingestv1.ListPreferencesResponse{
		Suppression: lead.GetSuppression(), Version: s.Policy.Version, ConfirmSeconds: int64(s.Policy.Expires.Seconds()),
	}
	for _, perm := range lead.GetPermissions() {
		p := s.Policy.Purpose(perm.GetPurpose())
		resp.Preferences = append(resp.Preferences, &ingestv1.Preference{
			Purpose: p.ID, Title: p.Title, Description: p.Description, Channel: p.Channel,
			Allowed: perm.GetAllowed(), Reason: perm.GetReason(),
		})
	}
	return resp, nil
}

// UpdatePreferences records what a lead answered on that page, all at once.
func (s *Server) UpdatePreferences(ctx context.Context, req *ingestv1.UpdatePreferencesRequest) (*ingestv1.UpdatePreferencesResponse, error) {
	how := req.GetHow()
	if how == nil {
		how = &leadv1.Consent{}
	}
	how.Method = cmp.Or(how.GetMethod(), consent.MethodPage)
	capture := &ingestv1.CaptureLeadRequest{Source: cmp.Or(how.GetSource(), api), OccurredAt: how.GetAt()}
	for _, a := range req.GetAnswers() {
		c := proto.CloneOf(how)
		c.Purpose, c.Granted, c.Text, c.TextVersion = a.GetPurpose(), a.GetGranted() && !req.GetUnsubscribeAll(), a.GetText(), a.GetTextVersion()
		c.Channel = s.Policy.Purpose(a.GetPurpose()).Channel
		capture.Consents = append(capture.Consents, c)
	}
	if faults := normal.Capture(capture, ""); len(faults) > 0 {
		return nil, invalid(faults)
	}
	cmd := &ingestv1.Apply{Capture: capture}
	if req.GetUnsubscribeAll() {
		cmd.Suppression = leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED
		cmd.ConsentAct = &ingestv1.ConsentAct{WithdrawAll: true, How: how}
	}
	if err := s.act(ctx, req.GetLeadId(), cmd); err != nil {
		return nil, err
	}
	lead, err := s.leadNow(ctx, req.GetLeadId())
	if err != nil {
		return nil, err
	}
	waits := slices.ContainsFunc(lead.GetConsents(), (*leadv1.Consent).GetPending)
	return &ingestv1.UpdatePreferencesResponse{Pending: waits}, nil
}

// act sends a command about consents to a lead.
func (s *Server) act(ctx context.Context, lead string, cmd *ingestv1.Apply) error {
	if err := possible(lead); err != nil {
		return err
	}
	return s.Accept(ctx, []person.Submission{{Kind: person.KindConsent, Lead: lead, Apply: cmd}})[0].Err
}

// ConfirmConsent grants what waits for a confirmation. The suppression list is
// told after the record: a crash in between leaves the stricter of the two.
func (s *Server) ConfirmConsent(ctx context.Context, req *ingestv1.ConfirmConsentRequest) (*ingestv1.ConfirmConsentResponse, error) {
	before, err := s.leadNow(ctx, req.GetLeadId())
	if err != nil {
		return nil, err
	}
	how := req.GetHow()
	err = s.act(ctx, req.GetLeadId(), &ingestv1.Apply{
		Capture:    &ingestv1.CaptureLeadRequest{Source: cmp.Or(how.GetSource(), api), OccurredAt: how.GetAt()},
		ConsentAct: &ingestv1.ConsentAct{Confirm: req.GetRequestIds(), How: how},
	})
	if err != nil {
		return nil, err
	}
	if err := s.relieve(ctx, req); err != nil {
		return nil, err
	}
	after, err := s.leadNow(ctx, req.GetLeadId())
	if err != nil {
		return nil, err
	}
	return confirmed(before, after, req.GetRequestIds()), nil
}

func confirmed(before, after *leadv1.Lead, ids []string) *ingestv1.ConfirmConsentResponse {
	resp := &ingestv1.ConfirmConsentResponse{Result: resultWithdrawn}
	for _, c := range after.GetConsents() {
		if !c.GetGranted() || !slices.Contains(ids, c.GetRequestId()) {
			continue
		}
		resp.Purposes = append(resp.Purposes, c.GetPurpose())
		if !consent.Of(before.GetConsents(), c.GetPurpose()).GetGranted() {
			resp.Result = resultConfirmed
		}
	}
	if len(resp.GetPurposes()) > 0 && resp.GetResult() == resultWithdrawn {
		resp.Result = resultAlready
	}
	return resp
}

// relieve lifts the address too, when the record says that the confirmation
// lifted the lead's suppression.
func (s *Server) relieve(ctx context.Context, req *ingestv1.ConfirmConsentRequest) error {
	e, err := s.Ledger.BatchGet(ctx, []string{req.GetLeadId()}, true)
	if err != nil {
		return fmt.Errorf("read the confirmation: %w", err)
	}
	lead := e[req.GetLeadId()].State.GetLead()
	if lead.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED || lead.GetProfile().GetEmail() == "" {
		return nil
	}
	for _, c := range lead.GetConsents() {
		if !c.GetGranted() || !slices.Contains(req.GetRequestIds(), c.GetRequestId()) {
			continue
		}
		_, err := s.Suppressed.Lift(ctx, lead.GetProfile().GetEmail(), &ingestv1.SuppressionEntry{
			Source: req.GetHow().GetSource(), Note: consent.MethodDoubleOptIn + " " + c.GetRequestId(),
		}, func(have *ingestv1.SuppressionEntry) error {
			if !consent.Lifts(have.GetReason(), have.GetAt().AsTime(), c.GetRequestedAt().AsTime()) {
				return errStays
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStays) {
			return err
		}
	}
	return nil
}

var errStays = errors.New("a confirmation does not lift this suppression")

// AskConfirmation asks for another confirmation mail.
func (s *Server) AskConfirmation(ctx context.Context, req *ingestv1.AskConfirmationRequest) (*ingestv1.AskConfirmationResponse, error) {
	before, err := s.leadNow(ctx, req.GetLeadId())
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(before.GetConsents(), (*leadv1.Consent).GetPending) {
		return &ingestv1.AskConfirmationResponse{Result: resultNothing}, nil
	}
	cmd := &ingestv1.Apply{ConsentAct: &ingestv1.ConsentAct{AskAgain: true}}
	if err := s.act(ctx, req.GetLeadId(), cmd); err != nil {
		return nil, err
	}
	after, err := s.leadNow(ctx, req.GetLeadId())
	if err != nil {
		return nil, err
	}
	if proto.Equal(after.GetUpdatedAt(), before.GetUpdatedAt()) {
		return &ingestv1.AskConfirmationResponse{Result: resultBefore}, nil
	}
	return &ingestv1.AskConfirmationResponse{Result: resultAsked}, nil
}
