package crmdesk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// sales stands for handoff's REST API and remembers what it was asked.
type sales struct {
	*httptest.Server
	asked  []string
	refuse string
}

func newSales(t *testing.T) *sales {
	s := &sales{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasSuffix(r.URL.Path, ":batchGet") {
			fmt.Fprint(w, `{"handoffs":[]}`)
			return
		}
		s.asked = append(s.asked, r.URL.Path+" "+string(body))
		if s.refuse != "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"code":9,"message":%q}`, s.refuse)
			return
		}
		fmt.Fprint(w, `{"handoff":{"leadId":"L1","status":"HANDOFF_STATUS_ACCEPTED","rep":"rep-a"}}`)
	}))
	t.Cleanup(s.Close)
	return s
}

func start(t *testing.T, handoff, journal string) (desk *Desk, web string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	desk, err = New(Options{HTTP: l, Secret: secret, Handoff: handoff, Journal: journal, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- desk.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("desk ended with %v", err)
		}
	})
	return desk, "http://" + l.Addr().String()
}

func dossier() *handoffv1.Dossier {
	return &handoffv1.Dossier{
		LeadId:  "L1",
		Profile: &leadv1.Profile{Email: "ann@acme.example", FirstName: "Ann", LastName: "<b>Lee</b>", Company: "Acme"},
		Score:   &scoringv1.Score{Fit: 25, Behaviour: 30, Grade: "A1"},
		Reasons: []*scoringv1.Reason{
			{Axis: scoringv1.Reason_AXIS_FIT, Group: "size", Rule: "mid", Text: "50 to 500 employees", Points: 25},
			{Axis: scoringv1.Reason_AXIS_BEHAVIOUR, Rule: "demo", Text: "asked for a demo", Points: 40},
			{Axis: scoringv1.Reason_AXIS_BEHAVIOUR, Group: "web", Points: -10},
		},
		Timeline: []*leadv1.Activity{{Type: "demo_requested", Properties: map[string]string{"path": "/demo"}, OccurredAt: timestamppb.Now()}},
		Handoff:  &handoffv1.Handoff{LeadId: "L1", Status: handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED, Rep: "rep-a", Why: "fast_track:demo"},
	}
}

// deliver posts a webhook as handoff does and gives the status code.
func deliver(t *testing.T, web, id string, at time.Time, spoil func(body []byte) []byte) int {
	t.Helper()
	data, err := protojson.Marshal(dossier())
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": "nurture/handoff", "type": "com.nurture.handoff.assigned",
		"subject": "L1", "data": json.RawMessage(data),
	})
	if err != nil {
		t.Fatal(err)
	}
	hook, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	sign, err := hook.Sign(id, at, body)
	if err != nil {
		t.Fatal(err)
	}
	if spoil != nil {
		body = spoil(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, web+WebhookPath, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(webhooks.HeaderWebhookID, id)
	req.Header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(webhooks.HeaderWebhookSignature, sign)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func get(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get(address) //nolint:noctx // a test against loopback
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestOnlyAFreshAndUntouchedWebhookIsTaken(t *testing.T) {
	desk, web := start(t, newSales(t).URL, "")
	spoil := func(body []byte) []byte { return append(body, ' ') }
	cases := []struct {
		name  string
		at    time.Time
		spoil func([]byte) []byte
		want  int
	}{
		{"tampered", time.Now(), spoil, http.StatusUnauthorized},
		{"too old", time.Now().Add(-10 * time.Minute), nil, http.StatusUnauthorized},
		{"from the future", time.Now().Add(10 * time.Minute), nil, http.StatusUnauthorized},
		{"good", time.Now(), nil, http.StatusNoContent},
	}
	for _, c := range cases {
		if got := deliver(t, web, "m-"+c.name, c.at, c.spoil); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
	if got := desk.Counts(); got != (Counts{Events: 1, Leads: 1}) {
		t.Errorf("counts are %+v", got)
	}
}

func TestAWebhookDeliveredAgainIsOneEvent(t *testing.T) {
	desk, web := start(t, newSales(t).URL, "")
	for range 2 {
		if got := deliver(t, web, "m1", time.Now(), nil); got != http.StatusNoContent {
			t.Fatalf("status %d", got)
		}
	}
	if got := desk.Counts(); got != (Counts{Events: 1, Repeats: 1, Leads: 1}) {
		t.Errorf("counts are %+v", got)
	}
}

func TestTheDossierShowsReasonsThatAddUp(t *testing.T) {
	_, web := start(t, newSales(t).URL, "")
	deliver(t, web, "m1", time.Now(), nil)
	body := get(t, web+"/leads/L1")
	for _, want := range []string{"50 to 500 employees", "asked for a demo", "-10.0", "Demo requested", "fast track: demo", "Accept", "not ready"} {
		if !strings.Contains(body, want) {
			t.Errorf("the dossier does not show %q", want)
		}
	}
	if strings.Contains(body, "does not add up") || strings.Count(body, "adds up") != 2 {
		t.Error("the page does not say that both axes add up")
	}
	if strings.Contains(body, "<b>Lee") {
		t.Error("a name was written into the page unescaped")
	}
	if list := get(t, web+"/"); !strings.Contains(list, "Acme") || !strings.Contains(list, "Assigned") {
		t.Error("the list does not show the lead")
	}
}

func TestTheButtonsAnswerHandoff(t *testing.T) {
	api := newSales(t)
	_, web := start(t, api.URL, "")
	deliver(t, web, "m1", time.Now(), nil)
	press := func(form url.Values) string {
		resp, err := http.PostForm(web+"/leads/L1", form) //nolint:noctx // loopback
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	body := press(url.Values{"verdict": {"accept"}, "request_id": {"r1"}})
	if len(api.asked) != 1 || !strings.HasPrefix(api.asked[0], "/v1/handoffs/L1:accept ") || !strings.Contains(api.asked[0], `"r1"`) {
		t.Fatalf("handoff was asked %q", api.asked)
	}
	if !strings.Contains(body, "Accepted") || !strings.Contains(body, ">Won<") {
		t.Error("after accepting, the page does not offer the outcome")
	}
	press(url.Values{"verdict": {"reject"}, "reason": {"REJECT_REASON_NO_BUDGET"}})
	press(url.Values{"verdict": {"won"}})
	if !strings.Contains(api.asked[1], "NO_BUDGET") || !strings.HasPrefix(api.asked[2], "/v1/handoffs/L1/outcome ") {
		t.Errorf("handoff was asked %q", api.asked)
	}
	api.refuse = "lead is not assigned"
	if body = press(url.Values{"verdict": {"accept"}}); !strings.Contains(body, "lead is not assigned") {
		t.Error("the page does not show why handoff refused")
	}
	if body = press(url.Values{"verdict": {"dance"}}); !strings.Contains(body, "use accept, reject, won or lost") {
		t.Error("the page does not say which verdicts there are")
	}
}

func TestTheJournalKeepsTheDeskOverARestart(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "crm.jsonl")
	api := newSales(t)
	t.Run("before", func(t *testing.T) {
		_, web := start(t, api.URL, journal)
		deliver(t, web, "m1", time.Now(), nil)
	})
	desk, web := start(t, api.URL, journal)
	if got := desk.Counts(); got != (Counts{Events: 1, Leads: 1}) {
		t.Errorf("counts after the restart are %+v", got)
	}
	deliver(t, web, "m1", time.Now(), nil)
	if got := desk.Counts(); got.Repeats != 1 {
		t.Errorf("a webhook from before the restart is taken for new: %+v", got)
	}
}

func TestABadSecretSaysWhatItMustBe(t *testing.T) {
	_, err := New(Options{Secret: "no base64!"})
	if err == nil || !strings.Contains(err.Error(), "whsec_ and base64") {
		t.Errorf("got %v", err)
	}
}

func TestTheDeskShowsNothingToAPageWhoseNameWasPointedHere(t *testing.T) {
	_, web := start(t, "http://127.0.0.1:1", "")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("answered %s, %v", resp.Status, err)
	}
}
