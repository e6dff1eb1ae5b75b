package scoring_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/services/scoring"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

func TestALeadOnTheLogGetsAScoreThatCanBeAskedForAndExplained(t *testing.T) {
	r := openRoom(t, "testdata/model.yaml")
	r.publish(bus.Leads, "lead-1", person("lead-1"), captured(), activity("email_clicked"))
	r.until("nurtured", "lead-1", inStage(leadv1.Stage_STAGE_NURTURING))
	first := time.Now()
	r.publish(bus.Leads, "lead-1", person("lead-1"), activity("demo_requested"))
	rec := r.until("ready", "lead-1", inStage(leadv1.Stage_STAGE_QUALIFIED))
	if rec.GetVersion() != 2 || len(rec.GetCauses()) != 1 || rec.GetCauses()[0].GetReason() != string(scoring.ReasonFastTrack) {
		t.Errorf("record %v", rec)
	}

	got, err := r.client.GetScore(t.Context(), &scoringv1.GetScoreRequest{LeadId: "lead-1"})
	if err != nil {
		t.Fatal(err)
	}
	sc := got.GetScore()
	if sc.GetGrade() != "A3" || !sc.GetQualified() || !sc.GetFastTrack() || sc.GetFit() != 40 || sc.GetBehaviour() >= 12 || sc.GetBehaviour() < 11.9 {
		t.Errorf("score %v", sc)
	}

	why, err := r.client.ExplainScore(t.Context(), &scoringv1.ExplainScoreRequest{LeadId: "lead-1"})
	if err != nil {
		t.Fatal(err)
	}
	addsUp(t, why)
	if !strings.Contains(why.GetVerdict(), `fast track "demo"`) {
		t.Errorf("verdict %q", why.GetVerdict())
	}

	was, err := r.client.ExplainScore(t.Context(), &scoringv1.ExplainScoreRequest{LeadId: "lead-1", AsOf: timestamppb.New(first)})
	if err != nil {
		t.Fatal(err)
	}
	addsUp(t, was)
	if was.GetScore().GetQualified() || !strings.HasPrefix(was.GetVerdict(), "Not ready: behaviour 12.0 is 38.0 below the line of 50") {
		t.Errorf("before: %v, %q", was.GetScore(), was.GetVerdict())
	}
}

func addsUp(t *testing.T, e *scoringv1.ExplainScoreResponse) {
	t.Helper()
	sums := map[scoringv1.Reason_Axis]float64{}
	for _, r := range e.GetReasons() {
		sums[r.GetAxis()] += r.GetPoints()
	}
	if sums[scoringv1.Reason_AXIS_FIT] != e.GetScore().GetFit() || sums[scoringv1.Reason_AXIS_BEHAVIOUR] != e.GetScore().GetBehaviour() {
		t.Errorf("reasons %v, score %v", sums, e.GetScore())
	}
}

func TestWhatIsAskedWronglyGetsAClearAnswer(t *testing.T) {
	r := openRoom(t, "testdata/model.yaml")
	r.publish(bus.Leads, "lead-1", person("lead-1"), captured())
	r.until("nurtured", "lead-1", inStage(leadv1.Stage_STAGE_NURTURING))
	for name, tt := range map[string]struct {
		req  *scoringv1.ExplainScoreRequest
		want codes.Code
	}{
		"before the oldest record": {&scoringv1.ExplainScoreRequest{LeadId: "lead-1", AsOf: timestamppb.New(time.Now().Add(-time.Hour))}, codes.OutOfRange},
		"in the future":            {&scoringv1.ExplainScoreRequest{LeadId: "lead-1", AsOf: timestamppb.New(time.Now().Add(time.Hour))}, codes.InvalidArgument},
		"never seen":               {&scoringv1.ExplainScoreRequest{LeadId: "nobody"}, codes.NotFound},
		"never seen, then":         {&scoringv1.ExplainScoreRequest{LeadId: "nobody", AsOf: timestamppb.Now()}, codes.NotFound},
		"no lead":                  {&scoringv1.ExplainScoreRequest{}, codes.InvalidArgument},
	} {
		if _, err := r.client.ExplainScore(t.Context(), tt.req); status.Code(err) != tt.want {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

func TestScoresAreServedAsJSON(t *testing.T) {
	r := openRoom(t, "testdata/model.yaml")
	for _, lead := range []string{"lead-1", "lead-2"} {
		r.publish(bus.Leads, lead, person(lead), captured())
		r.until("nurtured", lead, inStage(leadv1.Stage_STAGE_NURTURING))
	}
	code, body := r.get("/v1/scores/lead-1")
	if sc, _ := body["score"].(map[string]any); code != http.StatusOK || sc["grade"] != "A4" || sc["stage"] != "STAGE_NURTURING" {
		t.Errorf("score: %d %v", code, body)
	}
	code, body = r.get("/v1/scores/lead-1/explanation?as_of=" + url.QueryEscape(time.Now().UTC().Format(time.RFC3339Nano)))
	if reasons, _ := body["reasons"].([]any); code != http.StatusOK || len(reasons) != 3 {
		t.Errorf("explanation: %d %v", code, body)
	}
	if code, body = r.get("/v1/scores/nobody"); code != http.StatusNotFound {
		t.Errorf("nobody: %d %v", code, body)
	}
	batch, err := r.client.BatchGetScores(t.Context(), &scoringv1.BatchGetScoresRequest{LeadIds: []string{"lead-2", "nobody", "lead-1"}})
	if err != nil {
		t.Fatal(err)
	}
	if s := batch.GetScores(); len(s) != 2 || s[0].GetLeadId() != "lead-2" || s[1].GetLeadId() != "lead-1" {
		t.Errorf("batch %v", batch)
	}
}

// quickModel is the test model with half-lives of a second and a half.
func quickModel(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/model.yaml")
	if err != nil {
		t.Fatal(err)
	}
	quick := strings.NewReplacer("half_life: 7d", "half_life: 1500ms", "half_life: 2d", "half_life: 1500ms", "cool_down: 24h", "cool_down: 1s").Replace(string(raw))
	path := filepath.Join(t.TempDir(), "quick.yaml")
	if err := os.WriteFile(path, []byte(quick), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestALeadCoolsDownByItselfWhenNothingHappens(t *testing.T) {
	r := openRoom(t, quickModel(t))
	r.publish(bus.Leads, "lead-1", person("lead-1"), captured(),
		activity("page_viewed"), activity("page_viewed"), activity("email_clicked"))
	r.until("ready", "lead-1", func(s *scoringv1.State) bool { return s.GetScore().GetQualified() })
	rec := r.until("cooled", "lead-1", func(s *scoringv1.State) bool {
		return !s.GetScore().GetQualified() && s.GetScore().GetStageReason() == "cooled"
	})
	if rec.GetCauses()[0].GetKind() != bus.KindDue {
		t.Errorf("cooled by %v", rec.GetCauses())
	}
	r.until("all faded", "lead-1", func(s *scoringv1.State) bool { return s.GetScore().GetGrade() == "A4" })
}

func TestSalesMovesTheStageAndGivesTheLeadBack(t *testing.T) {
	r := openRoom(t, quickModel(t))
	r.publish(bus.Leads, "lead-1", person("lead-1"), captured(), activity("demo_requested"))
	r.until("ready", "lead-1", inStage(leadv1.Stage_STAGE_QUALIFIED))
	r.publish(bus.Handoff, "lead-1", &handoffv1.State{}, &handoffv1.Event{Fact: &handoffv1.Event_Assigned{Assigned: &handoffv1.Assigned{Rep: "kim"}}})
	r.until("assigned", "lead-1", inStage(leadv1.Stage_STAGE_ASSIGNED))
	r.publish(bus.Handoff, "lead-1", &handoffv1.State{},
		&handoffv1.Event{Fact: &handoffv1.Event_Rejected{Rejected: &handoffv1.Rejected{Reason: leadv1.RejectReason_REJECT_REASON_NOT_READY}}},
		&handoffv1.Event{Fact: &handoffv1.Event_Recycled{Recycled: &handoffv1.Recycled{}}})
	r.until("recycled", "lead-1", inStage(leadv1.Stage_STAGE_RECYCLED))
	r.until("nurtured again", "lead-1", inStage(leadv1.Stage_STAGE_NURTURING))
}

func TestTheLogRebuildsEveryScoreByteForByte(t *testing.T) {
	r := openRoom(t, "testdata/model.yaml")
	leads := []string{"lead-1", "lead-2", "lead-3"}
	for _, lead := range leads {
		r.publish(bus.Leads, lead, person(lead), captured(), activity("page_viewed"))
		r.publish(bus.Leads, lead, person(lead), activity("email_clicked"))
		r.publish(bus.Leads, lead, person(lead), activity("demo_requested"))
		r.until("ready", lead, inStage(leadv1.Stage_STAGE_QUALIFIED))
	}
	report, err := r.svc.Ledger().Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report.Leads != len(leads) || len(report.Mismatches) != 0 || report.Untold != 0 {
		t.Fatalf("report %+v", report)
	}
}

func TestAModelThatIsNotThereOrWrongStopsTheStart(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "model.yaml")
	if err := os.WriteFile(wrong, []byte("name: m\nfit:\n  bands: {A: 40, B: 20}\n  grups: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		cfg  scoring.Config
		want string
	}{
		"not there":      {scoring.Config{Model: "nowhere.yaml", Lanes: 1}, "nowhere.yaml"},
		"wrong":          {scoring.Config{Model: wrong, Lanes: 1}, "model.yaml:4:3"},
		"no name":        {scoring.Config{Lanes: 1}, "name the file of the scoring model"},
		"too many lanes": {scoring.Config{Model: "testdata/model.yaml", Lanes: 65}, "65 is not between 1 and 64"},
	} {
		if _, err := scoring.New(tt.cfg, scoring.Deps{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
