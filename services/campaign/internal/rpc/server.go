// Package rpc answers what programs there are and where a lead stands in them,
// and takes commands by hand.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	pkgrpc "github.com/nurturehq/nurture/pkg/rpc"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

// Names of the commands in the journey's log.
const (
	CommandEnroll  = "enroll"
	CommandExit    = "exit"
	CommandResolve = "resolve"
)

// Deps are what the server works with.
type Deps struct {
	Ledger *ledger.Ledger[*campaignv1.State]
	Book   *program.Book
	// View joins what the services know about leads.
	View func(ctx context.Context, leads []string) (map[string]*leadv1.View, error)
}

// Server answers nurture.campaign.v1.CampaignService.
type Server struct {
	campaignv1.UnimplementedCampaignServiceServer
	Deps
}

// NewServer makes a server.
func NewServer(d Deps) *Server { return &Server{Deps: d} }

// ListPrograms answers the programs leads may enter, highest priority first.
func (s *Server) ListPrograms(context.Context, *campaignv1.ListProgramsRequest) (*campaignv1.ListProgramsResponse, error) {
	resp := &campaignv1.ListProgramsResponse{}
	for _, p := range s.Book.Current {
		resp.Programs = append(resp.Programs, &campaignv1.ProgramInfo{
			Name: p.Name, Version: p.Version, Description: p.Description, Steps: p.StepIDs(),
		})
	}
	return resp, nil
}

// ListEnrollments answers all enrollments of a lead that are kept, newest last.
func (s *Server) ListEnrollments(ctx context.Context, req *campaignv1.ListEnrollmentsRequest) (*campaignv1.ListEnrollmentsResponse, error) {
	e, err := s.Ledger.Peek(ctx, req.GetLeadId())
	if err != nil {
		return nil, fmt.Errorf("list enrollments of %s: %w", req.GetLeadId(), err)
	}
	resp := &campaignv1.ListEnrollmentsResponse{Enrollments: e.State.GetEnrollments()}
	if req.GetWithTouches() {
		resp.Touches = e.State.GetTouches()
	}
	return resp, nil
}

// BatchGetEnrollments answers the leads that campaign knows, in the order asked.
func (s *Server) BatchGetEnrollments(ctx context.Context, req *campaignv1.BatchGetEnrollmentsRequest) (*campaignv1.BatchGetEnrollmentsResponse, error) {
	found, err := s.Ledger.BatchGet(ctx, req.GetLeadIds(), false)
	if err != nil {
		return nil, fmt.Errorf("get enrollments: %w", err)
	}
	resp := &campaignv1.BatchGetEnrollmentsResponse{}
	for _, id := range req.GetLeadIds() {
		if e, ok := found[id]; ok {
			resp.Leads = append(resp.Leads, &campaignv1.LeadEnrollments{LeadId: id, Enrollments: e.State.GetEnrollments()})
		}
	}
	return resp, nil
}

// ListTouches answers the latest touches of a lead, newest last.
func (s *Server) ListTouches(ctx context.Context, req *campaignv1.ListTouchesRequest) (*campaignv1.ListTouchesResponse, error) {
	e, err := s.Ledger.Peek(ctx, req.GetLeadId())
	if err != nil {
		return nil, fmt.Errorf("list touches of %s: %w", req.GetLeadId(), err)
	}
	return &campaignv1.ListTouchesResponse{Touches: e.State.GetTouches()}, nil
}

// Enroll puts a lead into a program by hand. What is known about the lead is
// asked of the other services: campaign may not have met it yet.
func (s *Server) Enroll(ctx context.Context, req *campaignv1.EnrollRequest) (*campaignv1.EnrollResponse, error) {
	req.LeadId = s.survivor(ctx, req.GetLeadId())
	views, err := s.View(ctx, []string{req.GetLeadId()})
	if err != nil {
		return nil, fmt.Errorf("enroll %s: %w", req.GetLeadId(), err)
	}
	view := views[req.GetLeadId()]
	if view.GetLead() == nil {
		return nil, fmt.Errorf("enroll %s: %w", req.GetLeadId(), ledger.ErrNotFound)
	}
	state, err := s.update(ctx, req.GetLeadId(), CommandEnroll, &campaignv1.EnrollCommand{Request: req, View: view})
	if err != nil {
		return nil, err
	}
	return &campaignv1.EnrollResponse{Enrollment: journey.Stay(state, req.GetProgram())}, nil
}

// Exit takes a lead out of a program.
func (s *Server) Exit(ctx context.Context, req *campaignv1.ExitRequest) (*campaignv1.ExitResponse, error) {
	req.LeadId = s.survivor(ctx, req.GetLeadId())
	state, err := s.update(ctx, req.GetLeadId(), CommandExit, req)
	if err != nil {
		return nil, err
	}
	return &campaignv1.ExitResponse{Enrollment: journey.Stay(state, req.GetProgram())}, nil
}

// ResolveTouch settles an ambiguous touch.
func (s *Server) ResolveTouch(ctx context.Context, req *campaignv1.ResolveTouchRequest) (*campaignv1.ResolveTouchResponse, error) {
	state, err := s.update(ctx, req.GetLeadId(), CommandResolve, req)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(state.GetTouches(), func(t *campaignv1.Touch) bool { return t.GetId() == req.GetTouchId() })
	if i < 0 {
		return nil, fmt.Errorf("resolve touch: %w", journey.ErrUnknownTouch)
	}
	return &campaignv1.ResolveTouchResponse{Touch: state.GetTouches()[i]}, nil
}

// maxHops bounds how often a merged lead is followed.
const maxHops = 12

// survivor is the lead that a lead turned out to be; itself when it is nobody
// else. One that cannot be read is told so by the command.
func (s *Server) survivor(ctx context.Context, lead string) string {
	for range maxHops {
		e, err := s.Ledger.Peek(ctx, lead)
		into := e.State.GetTies().GetIntoLeadId()
		if err != nil || into == "" {
			break
		}
		lead = into
	}
	return lead
}

func (s *Server) update(ctx context.Context, lead, kind string, command proto.Message) (*campaignv1.State, error) {
	data, err := proto.Marshal(command)
	if err != nil {
		return nil, fmt.Errorf("encode command %s: %w", kind, err)
	}
	r, err := s.Ledger.Update(ctx, lead, ledger.Command{Kind: kind, Data: data})
	if err != nil {
		return nil, marked(fmt.Errorf("%s: %w", kind, err))
	}
	return r.State, nil
}

// marked gives the journey's errors the codes callers expect.
func marked(err error) error {
	switch {
	case errors.Is(err, journey.ErrUnknownProgram), errors.Is(err, journey.ErrUnknownTouch), errors.Is(err, journey.ErrNotEnrolled):
		return pkgrpc.Mark(err, codes.NotFound)
	case errors.Is(err, journey.ErrForbidden), errors.Is(err, journey.ErrNotAmbiguous):
		return pkgrpc.Mark(err, codes.FailedPrecondition)
	default:
		return err
	}
}
