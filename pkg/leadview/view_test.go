package leadview_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/leadview"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// world is what the three services know, and what they were asked.
type world struct {
	leads    map[string]*ingestv1.State
	scores   map[string]*scoringv1.State
	programs map[string]*campaignv1.State
	down     error

	mu    sync.Mutex
	asked []string
}

func (w *world) note(who string, ids []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, fmt.Sprintf("%s:%d", who, len(ids)))
	return w.down
}

// questions are sorted: the owners are asked at the same time.
func (w *world) questions() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	got := slices.Sorted(slices.Values(w.asked))
	w.asked = nil
	return got
}

func (w *world) BatchGetLeads(_ context.Context, in *ingestv1.BatchGetLeadsRequest, _ ...grpc.CallOption) (*ingestv1.BatchGetLeadsResponse, error) {
	resp := &ingestv1.BatchGetLeadsResponse{}
	for _, id := range in.GetLeadIds() {
		if s, ok := w.leads[id]; ok {
			resp.Leads = append(resp.Leads, s.GetLead())
		}
	}
	return resp, w.note("ingest", in.GetLeadIds())
}

func (w *world) BatchGetScores(_ context.Context, in *scoringv1.BatchGetScoresRequest, _ ...grpc.CallOption) (*scoringv1.BatchGetScoresResponse, error) {
	resp := &scoringv1.BatchGetScoresResponse{}
	for _, id := range in.GetLeadIds() {
		if s, ok := w.scores[id]; ok {
			resp.Scores = append(resp.Scores, s.GetScore())
		}
	}
	return resp, w.note("scoring", in.GetLeadIds())
}

func (w *world) BatchGetEnrollments(_ context.Context, in *campaignv1.BatchGetEnrollmentsRequest, _ ...grpc.CallOption) (*campaignv1.BatchGetEnrollmentsResponse, error) {
	resp := &campaignv1.BatchGetEnrollmentsResponse{}
	for _, id := range in.GetLeadIds() {
		if s, ok := w.programs[id]; ok {
			resp.Leads = append(resp.Leads, &campaignv1.LeadEnrollments{LeadId: id, Enrollments: s.GetEnrollments()})
		}
	}
	return resp, w.note("campaign", in.GetLeadIds())
}

// newWorld knows lead "full" everywhere and lead "new" in ingest only.
func newWorld() *world {
	active, done := campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE, campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_COMPLETED
	return &world{
		leads: map[string]*ingestv1.State{
			"full": {Lead: &leadv1.Lead{LeadId: "full", Source: "website", Facts: &leadv1.Facts{HasEmail: true, Source: "website"}}},
			"new":  {Lead: &leadv1.Lead{LeadId: "new", Facts: &leadv1.Facts{Source: "import"}}},
		},
		scores: map[string]*scoringv1.State{"full": {Score: &scoringv1.Score{
			LeadId: "full", Fit: 30, Behaviour: 12.5, Grade: "A2", Qualified: true, FastTrack: true, Stage: leadv1.Stage_STAGE_QUALIFIED,
		}}},
		programs: map[string]*campaignv1.State{"full": {LeadId: "full", Enrollments: []*campaignv1.Enrollment{
			{Program: "welcome", Status: done}, {Program: "warm-up", Status: active}, {Program: "webinar", Status: active},
		}}},
	}
}

var want = map[string]*leadv1.View{
	"full": {
		LeadId: "full", Lead: &leadv1.Facts{HasEmail: true, Source: "website"}, Stage: leadv1.Stage_STAGE_QUALIFIED,
		Score:    &leadv1.ScoreFacts{Fit: 30, Behaviour: 12.5, Grade: "A2", Qualified: true, FastTrack: true},
		Programs: []string{"warm-up", "webinar"},
	},
	"new":    {LeadId: "new", Lead: &leadv1.Facts{Source: "import"}, Stage: leadv1.Stage_STAGE_NEW},
	"nobody": {LeadId: "nobody"},
}

var ids = []string{"full", "new", "nobody", "full"}

// cache writes a service's record of a lead the way its ledger does.
func cache(t *testing.T, rdb redis.UniversalClient, stream, lead string, state proto.Message) {
	t.Helper()
	raw, err := proto.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := proto.Marshal(&ledgerv1.Record{State: raw, Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := rdb.Set(t.Context(), ledger.CacheKey(stream, lead), ledger.EncodeCache(7, rec), 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func look(t *testing.T, v *leadview.Views) {
	t.Helper()
	got, err := v.View(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestTheViewIsTheSameWhateverTheCacheHolds(t *testing.T) {
	w, rdb := newWorld(), ledgertest.Miniredis(t)
	v := leadview.New(leadview.Deps{Redis: rdb, Ingest: w, Scoring: w, Campaign: w})
	expect := func(what string, questions ...string) {
		t.Helper()
		look(t, v)
		if diff := cmp.Diff(questions, w.questions()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	expect("an empty cache", "campaign:3", "ingest:3", "scoring:3")
	cache(t, rdb, bus.Leads, "full", w.leads["full"])
	cache(t, rdb, bus.Scores, "full", w.scores["full"])
	expect("one lead known", "campaign:3", "ingest:2", "scoring:2")
	cache(t, rdb, bus.Campaign, "full", w.programs["full"])
	cache(t, rdb, bus.Leads, "new", w.leads["new"])
	expect("two leads known", "campaign:2", "ingest:1", "scoring:2")
	if err := rdb.Set(t.Context(), ledger.CacheKey(bus.Leads, "full"), "rubbish", 0).Err(); err != nil {
		t.Fatal(err)
	}
	expect("rubbish in the cache", "campaign:2", "ingest:2", "scoring:2")
	if err := rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	expect("a flushed cache", "campaign:3", "ingest:3", "scoring:3")
}

func TestRedisMayBeGoneOrNeverHaveBeenThere(t *testing.T) {
	w := newWorld()
	look(t, leadview.New(leadview.Deps{Ingest: w, Scoring: w, Campaign: w}))
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", DialTimeout: 100 * time.Millisecond, MaxRetries: -1})
	defer func() { _ = gone.Close() }()
	look(t, leadview.New(leadview.Deps{Redis: gone, Ingest: w, Scoring: w, Campaign: w}))
}

func TestAPartWithoutAnOwnerIsLeftOut(t *testing.T) {
	w, rdb := newWorld(), ledgertest.Miniredis(t)
	cache(t, rdb, bus.Scores, "full", w.scores["full"])
	got, err := leadview.New(leadview.Deps{Redis: rdb, Ingest: w}).View(t.Context(), []string{"full"})
	if err != nil {
		t.Fatal(err)
	}
	if v := got["full"]; v.GetScore() != nil || v.GetLead() == nil {
		t.Errorf("got %v", v)
	}
	none, err := leadview.New(leadview.Deps{Redis: rdb}).View(t.Context(), []string{"full"})
	if err != nil || !proto.Equal(none["full"], &leadv1.View{LeadId: "full"}) {
		t.Errorf("got %v, %v", none, err)
	}
}

func TestOwnersAreAskedForAtMostAThousandAtOnce(t *testing.T) {
	w := newWorld()
	many := make([]string, 2500)
	for i := range many {
		many[i] = fmt.Sprintf("lead-%04d", i)
	}
	got, err := leadview.New(leadview.Deps{Scoring: w}).View(t.Context(), many)
	if err != nil || len(got) != len(many) {
		t.Fatalf("%d views, %v", len(got), err)
	}
	if diff := cmp.Diff([]string{"scoring:1000", "scoring:1000", "scoring:500"}, w.questions()); diff != "" {
		t.Error(diff)
	}
}

func TestAnOwnerThatCannotBeAskedIsAnError(t *testing.T) {
	w := newWorld()
	w.down = status.Error(codes.Unavailable, "draining")
	_, err := leadview.New(leadview.Deps{Scoring: w}).View(t.Context(), ids)
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "ask scoring for 3 leads") {
		t.Errorf("got %v", err)
	}
}
