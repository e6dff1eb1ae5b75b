// Package rpc answers ingest's gRPC calls.
package rpc

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/signal"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
	"github.com/nurturehq/nurture/services/ingest/internal/store/vault"
)

// api is who tells something over gRPC without naming a source.
const api = "api"

// defaultActivities is how many activities are listed when nobody says.
const defaultActivities = 50

// Deps are what the server works with.
type Deps struct {
	// Signals are the rules that signals are judged by now.
	Signals func() *signal.Rules
	Accept  func(ctx context.Context, subs []person.Submission) []person.Outcome
	Ledger  *ledger.Ledger[*ingestv1.State]
	// Plain is what may be known of a lead without saying who it is.
	Plain func(*leadv1.Lead) *leadv1.Lead
	// Policy and Suppressed say what is allowed now.
	Policy     *consent.Policy
	Suppressed SuppressionList
	Sources    *source.Live
	Eraser     Eraser
	// Rewrap wraps all data keys in the newest key: how many were, how many had
	// been, and the fingerprint of that key.
	Rewrap func(ctx context.Context) (done, current uint64, by string, err error)
	// TakeReturn reads a mail that came back.
	TakeReturn func(ctx context.Context, req *ingestv1.TakeReturnRequest) (*ingestv1.TakeReturnResponse, error)
	// Listed says what is configured and what was seen of it.
	Listed func() *ingestv1.ListSourcesResponse
	// Redrive has a reject read again.
	Redrive func(ctx context.Context, id uint64) (*ingestv1.RedriveRejectResponse, error)
	// Try sends a sample through a source.
	Try func(ctx context.Context, req *ingestv1.TestSourceRequest) (*ingestv1.TestSourceResponse, error)
	Bus *bus.Bus
	// Drawer has what was not taken.
	Drawer *vault.Drawer
	// Who knows which leads are one.
	Who Registry
}

// Server answers ingest's calls.
type Server struct {
	ingestv1.UnimplementedIngestServiceServer
	Deps
}

// New makes a server.
func New(d Deps) *Server { return &Server{Deps: d} }

// CaptureLead records that somebody raised a hand.
func (s *Server) CaptureLead(ctx context.Context, req *ingestv1.CaptureLeadRequest) (*ingestv1.CaptureLeadResponse, error) {
	country := ""
	if src, ok := s.Sources.Current().Named(req.GetSource()); ok {
		country = src.Country
	}
	out, err := s.accept(ctx)(person.FromCapture(req, country))
	if err != nil {
		return nil, err
	}
	return &ingestv1.CaptureLeadResponse{LeadId: out.Lead, Created: out.Created, Duplicate: out.Duplicate}, nil
}

// TrackActivity records one thing a lead did.
func (s *Server) TrackActivity(ctx context.Context, req *ingestv1.TrackActivityRequest) (*ingestv1.TrackActivityResponse, error) {
	out, err := s.accept(ctx)(person.FromTrack(req, api))
	if err != nil {
		return nil, err
	}
	return &ingestv1.TrackActivityResponse{LeadId: out.Lead, Duplicate: out.Duplicate}, nil
}

// RecordConsent records an answer to a purpose.
func (s *Server) RecordConsent(ctx context.Context, req *ingestv1.RecordConsentRequest) (*ingestv1.RecordConsentResponse, error) {
	if _, err := s.accept(ctx)(person.FromConsent(req, api)); err != nil {
		return nil, err
	}
	return &ingestv1.RecordConsentResponse{}, nil
}

// accept takes what the From functions of person make.
func (s *Server) accept(ctx context.Context) func(*person.Submission, []normal.Fault) (person.Outcome, error) {
	return func(sub *person.Submission, faults []normal.Fault) (person.Outcome, error) {
		if len(faults) > 0 {
			return person.Outcome{}, invalid(faults)
		}
		out := s.Accept(ctx, []person.Submission{*sub})[0]
		return out, out.Err
	}
}

// invalid is the error that names each bad field.
func invalid(faults []normal.Fault) error {
	fields := make([]rpc.Field, len(faults))
	for i, f := range faults {
		fields[i] = rpc.Field(f)
	}
	return rpc.Invalid(fields...)
}

// GetLead answers one lead.
func (s *Server) GetLead(ctx context.Context, req *ingestv1.GetLeadRequest) (*ingestv1.GetLeadResponse, error) {
	if err := possible(req.GetLeadId()); err != nil {
		return nil, err
	}
	e, err := s.Who.Find(ctx, req.GetLeadId())
	if err != nil {
		return nil, fmt.Errorf("get lead: %w", err)
	}
	leads, err := s.asOfNow(ctx, []*leadv1.Lead{whole(e.State)}, false)
	if err != nil {
		return nil, err
	}
	return &ingestv1.GetLeadResponse{Lead: leads[0]}, nil
}

// BatchGetLeads answers the leads that exist, in the order asked.
func (s *Server) BatchGetLeads(ctx context.Context, req *ingestv1.BatchGetLeadsRequest) (*ingestv1.BatchGetLeadsResponse, error) {
	ids := slices.DeleteFunc(slices.Clone(req.GetLeadIds()), func(id string) bool { return possible(id) != nil })
	found, err := s.Ledger.BatchGet(ctx, ids, req.GetFresh())
	if err != nil {
		return nil, fmt.Errorf("get leads: %w", err)
	}
	resp := &ingestv1.BatchGetLeadsResponse{Leads: make([]*leadv1.Lead, 0, len(found))}
	for _, id := range ids {
		e, ok := found[id]
		if !ok {
			continue
		}
		if elsewhere(e.State) {
			if e, err = s.Who.Find(ctx, id); err != nil {
				return nil, fmt.Errorf("get lead: %w", err)
			}
		}
		resp.Leads = append(resp.Leads, whole(e.State))
	}
	if resp.Leads, err = s.asOfNow(ctx, resp.GetLeads(), req.GetFresh()); err != nil {
		return nil, err
	}
	if req.GetFactsOnly() {
		for i, l := range resp.GetLeads() {
			resp.Leads[i] = s.Plain(l)
		}
	}
	return resp, nil
}

// possible refuses what no lead is called, before it becomes part of a subject.
func possible(lead string) error {
	if !identity.ValidLead(lead) {
		return fmt.Errorf("lead %.64q: %w", lead, ledger.ErrNotFound)
	}
	return nil
}

// ListActivities answers the latest things a lead did, newest last, among them
// those of the leads that turned out to be the same person.
func (s *Server) ListActivities(ctx context.Context, req *ingestv1.ListActivitiesRequest) (*ingestv1.ListActivitiesResponse, error) {
	if err := possible(req.GetLeadId()); err != nil {
		return nil, err
	}
	acts, err := s.history(ctx, req.GetLeadId())
	if err != nil {
		return nil, fmt.Errorf("list activities: %w", err)
	}
	if since := req.GetSince(); since != nil {
		acts = slices.DeleteFunc(acts, func(a *leadv1.Activity) bool { return a.GetOccurredAt().AsTime().Before(since.AsTime()) })
	}
	limit := cmp.Or(int(req.GetLimit()), defaultActivities)
	return &ingestv1.ListActivitiesResponse{Activities: acts[max(0, len(acts)-limit):]}, nil
}
