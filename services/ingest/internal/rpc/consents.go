package rpc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
)

// ListConsents answers the consent ledger of a lead, and what was allowed as of
// a time: read out of the records, which is where the proof is.
func (s *Server) ListConsents(ctx context.Context, req *ingestv1.ListConsentsRequest) (*ingestv1.ListConsentsResponse, error) {
	if err := possible(req.GetLeadId()); err != nil {
		return nil, err
	}
	history, err := s.Ledger.History(ctx, req.GetLeadId())
	if err != nil {
		return nil, fmt.Errorf("list consents: %w", err)
	}
	now := history[len(history)-1].State
	for _, from := range now.GetMergedFrom() {
		more, err := s.Ledger.History(ctx, from)
		if err != nil && rpc.Status(err).Code() != codes.NotFound {
			return nil, fmt.Errorf("list consents of merged lead: %w", err)
		}
		history = append(history, more...)
	}
	var entries []dated
	for _, e := range history {
		told, err := consentsOf(e)
		if err != nil {
			return nil, err
		}
		entries = append(entries, told...)
	}
	return s.asOf(entries, now.GetLead(), req), nil
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

// consentsOf lists what a record says about consents and suppression.
func consentsOf(e ledger.Entry[*ingestv1.State]) ([]dated, error) {
	var list []dated
	raw := e.Record.GetEvents()
	for _, c := range e.Record.GetCauses() {
		n := min(int(c.GetEvents()), len(raw))
		for _, data := range raw[:n] {
			event := &ingestv1.Event{}
			if err := proto.Unmarshal(data, event); err != nil {
				return nil, fmt.Errorf("decode event of record %d: %w", e.Seq, err)
			}
			entry := &ingestv1.ConsentEntry{RecordedAt: c.GetNow(), Seq: e.Seq, LeadId: e.Lead, EventId: c.GetId()}
			if aboutConsent(entry, event) {
				list = append(list, dated{event.GetOccurredAt().AsTime(), entry})
			}
		}
		raw = raw[n:]
	}
	return list, nil
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
