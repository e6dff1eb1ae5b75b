package ingest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nurturehq/nurture/pkg/bus/bustest"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest"
	"github.com/nurturehq/nurture/services/ingest/internal/hook"
)

// graph is an API that speaks as Meta's does.
func graph(t *testing.T, answer http.HandlerFunc) (yaml string) {
	t.Helper()
	srv := httptest.NewServer(answer)
	t.Cleanup(srv.Close)
	t.Setenv("PAGE_TOKEN", "page-token")
	return fmt.Sprintf(`
sources:
  ads:
    kind: meta
    secrets: [{env: HOOK_SECRET}]
    credentials: {access_token: {env: PAGE_TOKEN}, verify_token: {env: HOOK_SECRET}}
    options: {base_url: "%s", activity: demo_requested}
`, srv.URL)
}

func fetchRoom(t *testing.T, yaml string) *room {
	t.Helper()
	t.Setenv("HOOK_SECRET", hookSecret)
	file := filepath.Join(t.TempDir(), "sources.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return newRoomWith(t, func(c *ingest.Config) { c.Sources, c.FetchAllow = file, []string{"127.0.0.1"} })
}

func (r *room) notify(lead string) reply {
	body := fmt.Sprintf(`{"object":"page","entry":[{"id":"1","changes":[{"field":"leadgen","value":{"leadgen_id":%s,"form_id":12,"created_time":1440120384}}]}]}`, lead)
	return r.post("/v1/hooks/ads", []byte(body), "X-Hub-Signature-256", "sha256="+hook.Hex(hook.HMAC([]byte(hookSecret), []byte(body))))
}

func TestALeadOfWhichOnlyTheIDWasToldIsFetchedAndCountsOnce(t *testing.T) {
	var calls atomic.Int32
	r := fetchRoom(t, graph(t, func(w http.ResponseWriter, req *http.Request) {
		switch n := calls.Add(1); {
		case req.URL.Path != "/v24.0/444444444444444444" || req.URL.Query().Get("access_token") != "page-token":
			http.Error(w, "who are you", http.StatusNotFound)
		case n == 1: // it is down for a moment
			http.Error(w, `{"error":{"code":2,"type":"OAuthException","is_transient":true}}`, http.StatusInternalServerError)
		default:
			fmt.Fprint(w, `{"id":"444444444444444444","created_time":"2026-11-24T09:00:00+0000","campaign_name":"spring","field_data":[{"name":"email","values":["Jo@acme.example"]},{"name":"full_name","values":["Jo Doe"]}]}`)
		}
	}))
	for range 2 {
		if got := r.notify("444444444444444444"); got.status != http.StatusOK {
			t.Fatalf("answered %d: %s", got.status, got.body)
		}
	}
	r.eventually("the lead was fetched", func() bool { return r.leads() == 1 })
	lead := r.submitAs("jo@acme.example")
	if got := r.types(lead); got != "demo_requested form_submitted" {
		t.Errorf("activities %q", got)
	}
	if l := r.lead(lead); l.GetProfile().GetLastName() != "Doe" || l.GetFirstTouch().GetUtmCampaign() != "spring" {
		t.Errorf("lead %v", l)
	}
}

func TestWhatCannotBeFetchedIsParkedAndCanBeSentBack(t *testing.T) {
	var mended atomic.Bool
	r := fetchRoom(t, graph(t, func(w http.ResponseWriter, _ *http.Request) {
		if !mended.Load() {
			http.Error(w, `{"error":{"code":100,"type":"GraphMethodException"}}`, http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, `{"id":"5","field_data":[{"name":"email","values":["jo@acme.example"]}]}`)
	}))
	if got := r.notify("5"); got.status != http.StatusOK {
		t.Fatalf("answered %d: %s", got.status, got.body)
	}
	r.eventually("it is parked", func() bool { return len(r.parked()) == 1 })
	p := r.parked()[0]
	if got := said(p); !strings.Contains(got, "GraphMethodException") || strings.Contains(got, "page-token") {
		t.Errorf("parked with %q", got)
	}
	if list := r.rejects("ads"); len(list) != 1 {
		t.Errorf("rejects %v", list)
	}
	mended.Store(true)
	if got := r.redrive(p.Seq); !got.GetTaken() {
		t.Errorf("redriven %v", got)
	}
	r.eventually("the lead was fetched", func() bool { return r.leads() == 1 })
}

func TestAFetchNeverReachesOurOwnNetwork(t *testing.T) {
	t.Setenv("PAGE_TOKEN", "page-token")
	r := hookRoom(t, graph(t, func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }))
	if got := r.notify("5"); got.status != http.StatusOK {
		t.Fatalf("answered %d: %s", got.status, got.body)
	}
	r.eventually("it is parked", func() bool { return len(r.parked()) == 1 })
	if got := said(r.parked()[0]); !strings.Contains(got, "not allowed") {
		t.Errorf("parked with %q", got)
	}
}

// sales is a handoff that writes down what it is told.
type sales struct {
	handoffv1.HandoffServiceClient
	mu     sync.Mutex
	told   []string
	status handoffv1.HandoffStatus
	down   int
}

func (s *sales) say(what string, refused bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down > 0 {
		s.down--
		return status.Error(codes.Unavailable, "not now")
	}
	if refused {
		return status.Error(codes.FailedPrecondition, "the handoff does not allow this now")
	}
	s.told = append(s.told, what)
	return nil
}

func (s *sales) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.told, "; ")
}

func (s *sales) Accept(_ context.Context, r *handoffv1.AcceptRequest, _ ...grpc.CallOption) (*handoffv1.AcceptResponse, error) {
	return &handoffv1.AcceptResponse{}, s.say("accept "+r.GetLeadId(), s.status == handoffv1.HandoffStatus_HANDOFF_STATUS_WON)
}

func (s *sales) Reject(_ context.Context, r *handoffv1.RejectRequest, _ ...grpc.CallOption) (*handoffv1.RejectResponse, error) {
	return &handoffv1.RejectResponse{}, s.say("reject "+r.GetLeadId()+" "+r.GetReason().String()+" "+r.GetText(), false)
}

func (s *sales) Recycle(_ context.Context, r *handoffv1.RecycleRequest, _ ...grpc.CallOption) (*handoffv1.RecycleResponse, error) {
	return &handoffv1.RecycleResponse{}, s.say("recycle "+r.GetLeadId()+" "+r.GetText(), false)
}

func (s *sales) RecordOutcome(_ context.Context, r *handoffv1.RecordOutcomeRequest, _ ...grpc.CallOption) (*handoffv1.RecordOutcomeResponse, error) {
	return &handoffv1.RecordOutcomeResponse{}, s.say(fmt.Sprintf("%s %s %d", r.GetOutcome(), r.GetLeadId(), r.GetAmountMinor()), false)
}

func (s *sales) GetHandoff(context.Context, *handoffv1.GetHandoffRequest, ...grpc.CallOption) (*handoffv1.GetHandoffResponse, error) {
	return &handoffv1.GetHandoffResponse{Handoff: &handoffv1.Handoff{Status: s.status}}, nil
}

const crmYAML = `
sources:
  crm:
    kind: crm
    secrets: [{env: HOOK_SECRET}]
    options: {rejected: Dead}
`

func crmRoom(t *testing.T, s *sales) *room {
	t.Helper()
	t.Setenv("HOOK_SECRET", hookSecret)
	file := filepath.Join(t.TempDir(), "sources.yaml")
	if err := os.WriteFile(file, []byte(crmYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	return joinRoomWith(t, bustest.New(t), func(d *ingest.Deps) { d.Handoff = s }, func(c *ingest.Config) { c.Sources = file })
}

func TestWhatACRMSaysReachesHandoffInOrderThoughItWasDown(t *testing.T) {
	s := &sales{status: handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED, down: 1}
	r := crmRoom(t, s)
	for id, body := range map[string]string{"m1": `{"lead_id":"lead-1","status":"Dead","reason":"no_budget"}`} {
		if got := r.signed("/v1/hooks/crm", id, body); got.status != http.StatusOK {
			t.Fatalf("answered %d: %s", got.status, got.body)
		}
	}
	r.eventually("handoff was told", func() bool {
		return s.all() == "reject lead-1 "+leadv1.RejectReason_REJECT_REASON_NO_BUDGET.String()+" "
	})
	r.signed("/v1/hooks/crm", "m2", `{"lead_id":"lead-1","status":"deleted"}`)
	r.eventually("what was deleted is recycled", func() bool { return strings.HasSuffix(s.all(), "recycle lead-1 deleted in the CRM") })
}

func TestAWordOfTheCRMThatWasOvertakenIsDropped(t *testing.T) {
	s := &sales{status: handoffv1.HandoffStatus_HANDOFF_STATUS_WON}
	r := crmRoom(t, s)
	r.signed("/v1/hooks/crm", "m1", `{"lead_id":"lead-1","status":"accepted"}`)
	r.signed("/v1/hooks/crm", "m2", `{"lead_id":"lead-2","status":"won","amount":12.5,"currency":"EUR"}`)
	r.eventually("the later one was told", func() bool { return s.all() == "OUTCOME_WON lead-2 1250" })
	if len(r.parked()) != 0 {
		t.Errorf("parked %v", r.parked())
	}
}

func TestACloudEventOverNATSIsALead(t *testing.T) {
	r := hookRoom(t, partnerYAML)
	for range 2 {
		msg := &nats.Msg{Subject: "inbound.partner", Data: []byte(`{"contact":{"mail":"jo@acme.example"}}`), Header: nats.Header{
			"ce-specversion": {"1.0"}, "ce-id": {"e1"}, "ce-source": {"/shop"}, "ce-type": {"demo.booked"}, "content-type": {"application/json"},
		}}
		if _, err := r.bus.Publish(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	r.eventually("the event was taken", func() bool { return r.leads() == 1 })
	if got := r.types(r.submitAs("jo@acme.example")); got != "demo_requested form_submitted" {
		t.Errorf("activities %q", got)
	}
}
