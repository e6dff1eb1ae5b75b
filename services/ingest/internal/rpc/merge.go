package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// byHand is who merges when nobody says.
const byHand = "hand"

// Registry knows which leads are one person.
type Registry interface {
	// Find reads a lead, or the one it is merged into; ledger.ErrNotFound.
	Find(ctx context.Context, lead string) (entry, error)
	// Merge makes one of two; already: they were.
	Merge(ctx context.Context, want *ingestv1.Merge) (survivor entry, already bool, err error)
	// Unmerge gives a lead its own again; from is empty when it was not merged.
	Unmerge(ctx context.Context, lead, by string) (own entry, from string, err error)
	// Whose finds the lead that an identity was claimed for; ledger.ErrNotFound.
	Whose(ctx context.Context, who *ingestv1.Who) (lead string, err error)
}

// elsewhere reports whether a state is not, or not yet, the whole truth.
func elsewhere(st *ingestv1.State) bool {
	return st.GetMergedInto() != nil || len(st.GetJoining())+len(st.GetLeaving()) > 0
}

// whole is the lead as others see it. Leads that an earlier version only noted to
// be the same person were never merged.
func whole(st *ingestv1.State) *leadv1.Lead {
	l := st.GetLead()
	if len(st.GetParts()) > 0 || len(l.GetMergedFrom()) == 0 {
		return l
	}
	l = proto.CloneOf(l)
	l.MergedFrom = nil
	return l
}

// MergeLeads makes one lead of two.
func (s *Server) MergeLeads(ctx context.Context, req *ingestv1.MergeLeadsRequest) (*ingestv1.MergeLeadsResponse, error) {
	into, err := s.known(ctx, req.GetLeadId())
	if err != nil {
		return nil, err
	}
	from, err := s.known(ctx, req.GetFromLeadId())
	if err != nil {
		return nil, err
	}
	if req.GetChoose() && rather(from.State, into.State) {
		into, from = from, into
	}
	e, already, err := s.Who.Merge(ctx, &ingestv1.Merge{
		FromLeadId: from.Lead, IntoLeadId: into.Lead, By: cmp.Or(req.GetBy(), byHand), Confidence: 1,
	})
	if err != nil {
		return nil, explained(err)
	}
	leads, err := s.asOfNow(ctx, []*leadv1.Lead{e.State.GetLead()}, false)
	if err != nil {
		return nil, err
	}
	return &ingestv1.MergeLeadsResponse{Lead: leads[0], Already: already}, nil
}

func (s *Server) known(ctx context.Context, lead string) (entry, error) {
	if err := possible(lead); err != nil {
		return entry{}, err
	}
	e, err := s.Who.Find(ctx, lead)
	if err != nil {
		return entry{}, fmt.Errorf("find lead %s: %w", lead, err)
	}
	return e, nil
}

// rather reports whether a lead should survive instead of another one: who has
// an address before who has none, then who has a user id, then the older one.
func rather(a, b *ingestv1.State) bool {
	if x, y := len(a.GetEmails()) > 0, len(b.GetEmails()) > 0; x != y {
		return x
	}
	if x, y := len(a.GetLead().GetUserIds()) > 0, len(b.GetLead().GetUserIds()) > 0; x != y {
		return x
	}
	return a.GetLead().GetCreatedAt().AsTime().Before(b.GetLead().GetCreatedAt().AsTime())
}

// explained gives refusals of a merge their code.
func explained(err error) error {
	switch {
	case errors.Is(err, person.ErrFull), errors.Is(err, person.ErrItself), errors.Is(err, person.ErrApart):
		return rpc.Mark(err, codes.FailedPrecondition)
	case errors.Is(err, person.ErrUnknownLead):
		return rpc.Mark(err, codes.NotFound)
	}
	return err
}

// UnmergeLead gives a merged lead its own history again.
func (s *Server) UnmergeLead(ctx context.Context, req *ingestv1.UnmergeLeadRequest) (*ingestv1.UnmergeLeadResponse, error) {
	if err := possible(req.GetLeadId()); err != nil {
		return nil, err
	}
	own, from, err := s.Who.Unmerge(ctx, req.GetLeadId(), cmp.Or(req.GetBy(), byHand))
	if err != nil {
		return nil, explained(err)
	}
	leads, err := s.asOfNow(ctx, []*leadv1.Lead{own.State.GetLead()}, false)
	if err != nil {
		return nil, err
	}
	return &ingestv1.UnmergeLeadResponse{Lead: leads[0], FromLeadId: from, Already: from == ""}, nil
}

// LookupLead answers whose an identity is.
func (s *Server) LookupLead(ctx context.Context, req *ingestv1.LookupLeadRequest) (*ingestv1.LookupLeadResponse, error) {
	who := &ingestv1.Who{
		LeadId: req.GetLeadId(), Email: req.GetEmail(), UserId: req.GetUserId(), AnonymousId: req.GetAnonymousId(),
		Phone: req.GetPhone(), ExternalId: req.GetExternalId(),
	}
	if faults := spell(who); len(faults) > 0 {
		return nil, invalid(faults)
	}
	lead, err := who.GetLeadId(), error(nil)
	if lead == "" {
		if lead, err = s.Who.Whose(ctx, who); err != nil {
			return nil, fmt.Errorf("look up lead: %w", err)
		}
	}
	e, err := s.known(ctx, lead)
	if err != nil {
		return nil, err
	}
	leads, err := s.asOfNow(ctx, []*leadv1.Lead{e.State.GetLead()}, false)
	if err != nil {
		return nil, err
	}
	resp := &ingestv1.LookupLeadResponse{Lead: leads[0]}
	if lead != e.Lead {
		resp.OriginLeadId = lead
	}
	return resp, nil
}

// spell brings the one identity asked for into the spelling it is claimed in.
func spell(who *ingestv1.Who) []normal.Fault {
	var faults []normal.Fault
	given := 0
	for _, f := range []struct {
		field string
		value *string
		parse func(string) (string, error)
	}{
		{"lead_id", &who.LeadId, asIs},
		{"user_id", &who.UserId, asIs},
		{"anonymous_id", &who.AnonymousId, asIs},
		{"email", &who.Email, normal.Email},
		{"external_id", &who.ExternalId, normal.ExternalID},
		{"phone", &who.Phone, func(s string) (string, error) { return normal.Phone(s, "") }},
	} {
		if *f.value == "" {
			continue
		}
		given++
		got, err := f.parse(*f.value)
		if err != nil {
			faults = append(faults, normal.Fault{Field: f.field, Message: err.Error()})
		}
		*f.value = got
	}
	if given != 1 {
		faults = append(faults, normal.Fault{Field: "identity", Message: "must name exactly one of lead_id, email, phone, user_id, anonymous_id, external_id"})
	}
	return faults
}

func asIs(s string) (string, error) { return normal.Text(s, 200), nil }

// ListMerges answers who was merged into a lead, and where it went itself.
func (s *Server) ListMerges(ctx context.Context, req *ingestv1.ListMergesRequest) (*ingestv1.ListMergesResponse, error) {
	e, err := s.known(ctx, req.GetLeadId())
	if err != nil {
		return nil, err
	}
	resp := &ingestv1.ListMergesResponse{}
	if e.Lead != req.GetLeadId() {
		own, err := s.Ledger.Get(ctx, req.GetLeadId())
		if err != nil {
			return nil, fmt.Errorf("read merged lead: %w", err)
		}
		resp.MergedInto = own.State.GetMergedInto()
	}
	for _, p := range e.State.GetParts() {
		if m := p.GetMerge(); m != nil {
			resp.Merges = append(resp.Merges, m)
		}
	}
	return resp, nil
}
