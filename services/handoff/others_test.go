package handoff_test

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

type others struct {
	ingestv1.IngestServiceClient
	scoringv1.ScoringServiceClient
	campaignv1.CampaignServiceClient
	mu    sync.Mutex
	leads map[string]*leadv1.Lead
	// hang makes scoring never answer.
	hang bool
}

func (o *others) know(l *leadv1.Lead) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.leads[l.GetLeadId()] = l
}

func (o *others) BatchGetLeads(_ context.Context, r *ingestv1.BatchGetLeadsRequest, _ ...grpc.CallOption) (*ingestv1.BatchGetLeadsResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := &ingestv1.BatchGetLeadsResponse{}
	for _, id := range r.GetLeadIds() {
		if l := o.leads[id]; l != nil {
			out.Leads = append(out.Leads, proto.CloneOf(l))
		}
	}
	return out, nil
}

func (o *others) ListActivities(context.Context, *ingestv1.ListActivitiesRequest, ...grpc.CallOption) (*ingestv1.ListActivitiesResponse, error) {
	return &ingestv1.ListActivitiesResponse{Activities: []*leadv1.Activity{{Id: "a1", Type: "demo_requested", OccurredAt: timestamppb.Now()}}}, nil
}

func (o *others) BatchGetScores(context.Context, *scoringv1.BatchGetScoresRequest, ...grpc.CallOption) (*scoringv1.BatchGetScoresResponse, error) {
	return &scoringv1.BatchGetScoresResponse{}, nil
}

func (o *others) ExplainScore(ctx context.Context, r *scoringv1.ExplainScoreRequest, _ ...grpc.CallOption) (*scoringv1.ExplainScoreResponse, error) {
	if o.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &scoringv1.ExplainScoreResponse{
		Score:   &scoringv1.Score{LeadId: r.GetLeadId(), Fit: 30, Behaviour: 12},
		Reasons: []*scoringv1.Reason{{Axis: scoringv1.Reason_AXIS_FIT, Points: 30}, {Axis: scoringv1.Reason_AXIS_BEHAVIOUR, Points: 12}},
		Verdict: "asked for a demo",
	}, nil
}

func (o *others) ListEnrollments(_ context.Context, r *campaignv1.ListEnrollmentsRequest, _ ...grpc.CallOption) (*campaignv1.ListEnrollmentsResponse, error) {
	if !r.GetWithTouches() {
		return nil, status.Error(codes.NotFound, "campaign never saw it")
	}
	return &campaignv1.ListEnrollmentsResponse{Touches: []*campaignv1.Touch{{Id: "t1", Program: "welcome"}}}, nil
}
