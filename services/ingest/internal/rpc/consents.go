package rpc

import (
	"context"
	"fmt"
	"slices"
	"time"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// ListConsents answers the consent ledger of a lead, and what was allowed as of
// a time: read out of the records, which is where the proof is. A merged lead's
// is the survivor's, in which each entry says of whom it was told; after an
// unmerge each has its own, also what came meanwhile.
func (s *Server) ListConsents(ctx context.Context, req *ingestv1.ListConsentsRequest) (*ingestv1.ListConsentsResponse, error) {
	if err := possible(req.GetLeadId()); err != nil {
		return nil, err
	}
	e, err := s.Who.Find(ctx, req.GetLeadId())
	if err != nil {
		return nil, fmt.Errorf("list consents: %w", err)
	}
	var entries []dated
	err = s.walk(ctx, e.Lead, func(t tale) {
		// What a merge says is in the records of the lead that came.
		if !t.mine || t.cause.GetKind() == person.KindStep {
			return
		}
		entry := &ingestv1.ConsentEntry{RecordedAt: t.cause.GetNow(), Seq: t.record.Seq, LeadId: t.about, EventId: t.cause.GetId()}
		if aboutConsent(entry, t.event) {
			entries = append(entries, dated{t.event.GetOccurredAt().AsTime(), entry})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list consents: %w", err)
	}
	return s.asOf(entries, e.State.GetLead(), req), nil
}

// dated is an entry and when it happened.
type dated struct {
	at time.Time
	*ingestv1.ConsentEntry
}

// asOf leaves out what happened later and says what was allowed then.
func (s *Server) asOf(entries []dated, lead *leadv1.Lead, req *ingestv1.ListConsentsRequest) *ingestv1.ListConsentsResponse {
	slices.SortStableFunc(entries, func(a, b dated) int { return a.at.Compare(b.at) })
	then := &leadv1.Lead{Profile: lead.GetProfile()}
	resp := &ingestv1.ListConsentsResponse{}
	for _, e := range entries {
		if req.GetAsOf() != nil && e.at.After(req.GetAsOf().AsTime()) {
			break
		}
		resp.Entries = append(resp.Entries, e.ConsentEntry)
		switch {
		case e.GetConsent() != nil:
			then.Consents, _ = consent.Latest(then.GetConsents(), e.GetConsent())
		case e.GetSuppressed() != nil && consent.Weight(e.GetSuppressed().GetReason()) > consent.Weight(then.GetSuppression()):
			then.Suppression = e.GetSuppressed().GetReason()
		case e.GetLifted() != nil:
			then.Suppression = leadv1.Suppression_SUPPRESSION_UNSPECIFIED
		}
	}
	resp.Suppression = then.GetSuppression()
	if s.Policy != nil {
		resp.Permissions = s.Policy.Permissions(then)
	}
	return resp
}

// aboutConsent puts an event into an entry, if it is one of the ledger's.
func aboutConsent(entry *ingestv1.ConsentEntry, event *ingestv1.Event) bool {
	switch fact := event.GetFact().(type) {
	case *ingestv1.Event_Consent:
		entry.What = &ingestv1.ConsentEntry_Consent{Consent: fact.Consent}
	case *ingestv1.Event_ConfirmationAsked:
		entry.What = &ingestv1.ConsentEntry_Asked{Asked: fact.ConfirmationAsked}
	case *ingestv1.Event_Suppressed:
		entry.What = &ingestv1.ConsentEntry_Suppressed{Suppressed: fact.Suppressed}
	case *ingestv1.Event_SuppressionLifted:
		entry.What = &ingestv1.ConsentEntry_Lifted{Lifted: fact.SuppressionLifted}
	default:
		return false
	}
	return true
}
