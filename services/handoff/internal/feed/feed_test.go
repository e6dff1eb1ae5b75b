package feed_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
	"github.com/nurturehq/nurture/services/handoff/internal/dossier"
	"github.com/nurturehq/nurture/services/handoff/internal/feed"
	"github.com/nurturehq/nurture/services/handoff/internal/route"
)

// owners answer for the other services.
type owners struct {
	ingestv1.IngestServiceClient
	scoringv1.ScoringServiceClient
	campaignv1.CampaignServiceClient
	leads      map[string]*leadv1.Lead
	known      map[string]*leadv1.Lead
	cached     map[string]*leadv1.View
	err        error
	views, log int
	late       <-chan struct{}
	// slow is how long ingest takes to say who a lead is.
	slow time.Duration
}

func (o *owners) View(context.Context, []string) (map[string]*leadv1.View, error) {
	o.views++
	return o.cached, o.err
}

func (o *owners) BatchGetLeads(ctx context.Context, r *ingestv1.BatchGetLeadsRequest, _ ...grpc.CallOption) (*ingestv1.BatchGetLeadsResponse, error) {
	o.log++
	if o.slow > 0 {
		select {
		case <-time.After(o.slow):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	out := &ingestv1.BatchGetLeadsResponse{}
	for _, id := range r.GetLeadIds() {
		l := o.known[id]
		if r.GetFresh() {
			l = o.leads[id]
		}
		if l != nil {
			out.Leads = append(out.Leads, l)
		}
	}
	return out, o.err
}

func (o *owners) ListActivities(context.Context, *ingestv1.ListActivitiesRequest, ...grpc.CallOption) (*ingestv1.ListActivitiesResponse, error) {
	return nil, status.Error(codes.Unavailable, "down")
}

func (o *owners) ExplainScore(ctx context.Context, _ *scoringv1.ExplainScoreRequest, _ ...grpc.CallOption) (*scoringv1.ExplainScoreResponse, error) {
	select {
	case <-o.late:
	case <-ctx.Done():
	}
	return nil, ctx.Err()
}

func (o *owners) ListEnrollments(context.Context, *campaignv1.ListEnrollmentsRequest, ...grpc.CallOption) (*campaignv1.ListEnrollmentsResponse, error) {
	return nil, status.Error(codes.NotFound, "unknown")
}

func at() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

func router(o *owners) feed.Router {
	log := slog.New(slog.DiscardHandler)
	return feed.Router{
		Board: feed.NewBoard([]route.Rep{{ID: "ada", Weight: 1, Capacity: 1}, {ID: "bo", Weight: 1, Capacity: 1}}, log, at),
		Views: o, Ingest: o, Policy: desk.DefaultPolicy(), Log: log, Within: time.Second,
	}
}

func input(t *testing.T, stream, lead string, state proto.Message, events ...proto.Message) *ledger.Input {
	t.Helper()
	rec := &ledgerv1.Record{}
	rec.State, _ = proto.Marshal(state)
	for _, e := range events {
		raw, _ := proto.Marshal(e)
		rec.Events = append(rec.Events, raw)
	}
	raw, err := proto.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	return &ledger.Input{Lead: lead, Stream: stream, Kind: "state", Data: raw, Time: at()}
}

func qualifies(t *testing.T, lead string) *ledger.Input {
	t.Helper()
	return input(t, bus.Scores, lead, &scoringv1.State{}, &scoringv1.Event{Fact: &scoringv1.Event_Qualified{
		Qualified: &scoringv1.Qualified{Score: &scoringv1.Score{LeadId: lead, Fit: 33}},
	}})
}

func viewOf(t *testing.T, in *ledger.Input) *handoffv1.RoutingView {
	t.Helper()
	v := &handoffv1.RoutingView{}
	if err := proto.Unmarshal(in.View, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func withEmail(lead string) *leadv1.View {
	return &leadv1.View{LeadId: lead, Lead: &leadv1.Facts{HasEmail: true}}
}

func TestOnlyWhatMayBeAssignedIsAskedAbout(t *testing.T) {
	o := &owners{}
	r := router(o)
	ins := []*ledger.Input{
		input(t, bus.Leads, "l1", &ingestv1.State{Lead: &leadv1.Lead{LeadId: "l1"}}),
		input(t, bus.Scores, "l1", &scoringv1.State{}, &scoringv1.Event{Fact: &scoringv1.Event_Scored{Scored: &scoringv1.Scored{}}}),
		{Lead: "l1", Stream: bus.Handoff, Kind: "due", Time: at()},
		{Lead: "l1", Kind: "accept", Time: at()},
		{Lead: "l1", Stream: bus.Scores, Kind: "state", Data: []byte("\xff")},
	}
	if err := r.Enrich(t.Context(), ins); err != nil {
		t.Fatal(err)
	}
	for i, in := range ins {
		if in.View != nil {
			t.Errorf("input %d got a view", i)
		}
	}
	if o.views != 0 || o.log != 0 {
		t.Fatalf("asked %d and %d times", o.views, o.log)
	}
}

func TestACacheThatIsBehindTheScoreDoesNotHoldALead(t *testing.T) {
	o := &owners{
		cached: map[string]*leadv1.View{"l1": {LeadId: "l1", Lead: &leadv1.Facts{}}, "l2": withEmail("l2")},
		leads:  map[string]*leadv1.Lead{"l1": {LeadId: "l1", Facts: &leadv1.Facts{HasEmail: true}}},
	}
	one, two := qualifies(t, "l1"), qualifies(t, "l2")
	if err := router(o).Enrich(t.Context(), []*ledger.Input{one, two}); err != nil {
		t.Fatal(err)
	}
	v, w := viewOf(t, one), viewOf(t, two)
	if v.GetRep() != "ada" || w.GetRep() != "bo" || v.GetLead().GetScore().GetFit() != 33 {
		t.Fatalf("got %v and %v", v, w)
	}
	if o.views != 1 || o.log != 1 {
		t.Fatalf("asked %d and %d times for two leads", o.views, o.log)
	}
}

func TestALeadNobodyCanTellAboutStopsNoOther(t *testing.T) {
	o := &owners{err: errors.New("down")}
	in := qualifies(t, "l1")
	if err := router(o).Enrich(t.Context(), []*ledger.Input{in}); err != nil {
		t.Fatal(err)
	}
	if v := viewOf(t, in); v.GetRep() != "" || v.GetLead().GetLead() != nil {
		t.Fatalf("got %v", v)
	}
}

func TestAnOverdueLeadIsProposedToAnotherRep(t *testing.T) {
	r := router(&owners{cached: map[string]*leadv1.View{"l1": withEmail("l1")}})
	h := &handoffv1.Handoff{
		LeadId: "l1", Rep: "ada", Status: handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED, Reminders: 1, SlaDueAt: timestamppb.New(at()),
	}
	r.Board.See(h)
	in := &ledger.Input{Lead: "l1", Stream: bus.Handoff, Kind: "due", Time: at()}
	if err := r.Enrich(t.Context(), []*ledger.Input{in}); err != nil {
		t.Fatal(err)
	}
	if v := viewOf(t, in); v.GetRep() != "bo" {
		t.Fatalf("got %v", v)
	}
}

func TestEvidenceIsWhatCameInTime(t *testing.T) {
	o := &owners{late: make(chan struct{}), known: map[string]*leadv1.Lead{"l1": {LeadId: "l1"}}}
	e := feed.Evidence{Ingest: o, Scoring: o, Campaign: o, Log: slog.New(slog.DiscardHandler), Within: 20 * time.Millisecond}
	p := e.Collect(t.Context(), &handoffv1.Handoff{LeadId: "l1"})
	if !slices.Equal(p.Missing, []string{dossier.PartScore, dossier.PartTimeline}) {
		t.Fatalf("missing %v", p.Missing)
	}
	if p.Lead == nil || p.Touches != nil || p.Programs != nil || p.Score != nil {
		t.Fatalf("got %+v", p)
	}
}

// directory knows one account.
type directory struct{ ingestv1.AccountServiceClient }

func (directory) GetAccount(_ context.Context, r *ingestv1.GetAccountRequest, _ ...grpc.CallOption) (*ingestv1.GetAccountResponse, error) {
	return &ingestv1.GetAccountResponse{Account: &ingestv1.Account{AccountId: r.GetAccountId()}, Leads: 3}, nil
}

func TestEvidenceNamesTheCompany(t *testing.T) {
	o := &owners{late: make(chan struct{}), known: map[string]*leadv1.Lead{"l1": {LeadId: "l1", AccountId: "a1"}}}
	e := feed.Evidence{Ingest: o, Accounts: directory{}, Scoring: o, Campaign: o, Log: slog.New(slog.DiscardHandler), Within: 20 * time.Millisecond}
	d := dossier.Assemble(e.Collect(t.Context(), &handoffv1.Handoff{LeadId: "l1"}))
	if d.GetAccount().GetAccountId() != "a1" || d.GetColleagues() != 2 {
		t.Errorf("account %v and %d others", d.GetAccount(), d.GetColleagues())
	}
}

// A webhook that does not say who the lead is helps nobody.
func TestTheLeadItselfIsWaitedForLongerThanTheRest(t *testing.T) {
	for name, tt := range map[string]struct {
		slow    time.Duration
		missing []string
	}{
		"slow":        {time.Second, []string{dossier.PartScore, dossier.PartTimeline}},
		"much slower": {time.Minute, []string{dossier.PartLead, dossier.PartScore, dossier.PartTimeline}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &owners{late: make(chan struct{}), slow: tt.slow, known: map[string]*leadv1.Lead{"l1": {LeadId: "l1"}}}
				e := feed.Evidence{Ingest: o, Scoring: o, Campaign: o, Log: slog.New(slog.DiscardHandler), Within: 500 * time.Millisecond}
				p := e.Collect(t.Context(), &handoffv1.Handoff{LeadId: "l1"})
				if !slices.Equal(p.Missing, tt.missing) {
					t.Errorf("missing %v, want %v", p.Missing, tt.missing)
				}
			})
		})
	}
}

func TestALeadThatComesWithItsFirstRecordIsRoutedWithoutAQuestion(t *testing.T) {
	o := &owners{}
	told := input(t, bus.Leads, "l1", &ingestv1.State{Lead: &leadv1.Lead{LeadId: "l1", Facts: &leadv1.Facts{HasEmail: true}}})
	ready := qualifies(t, "l1")
	if err := router(o).Enrich(t.Context(), []*ledger.Input{told, ready}); err != nil {
		t.Fatal(err)
	}
	if v := viewOf(t, ready); v.GetRep() == "" || !v.GetLead().GetLead().GetHasEmail() || v.GetLead().GetScore().GetFit() != 33 {
		t.Errorf("routed by %v", v)
	}
	if o.views != 0 || o.log != 0 {
		t.Errorf("asked %d and %d times", o.views, o.log)
	}
}
