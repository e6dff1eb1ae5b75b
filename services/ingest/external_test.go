package ingest_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest"
	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/store"
)

func capture(external, email string) *ingestv1.CaptureLeadRequest {
	return &ingestv1.CaptureLeadRequest{
		Source: "crm", ExternalId: external, Profile: &leadv1.Profile{Email: email},
		Activity: &leadv1.Activity{Type: "form_submitted"},
	}
}

func TestASubmissionCountsOnceForEver(t *testing.T) {
	r := newRoom(t)
	first, err := r.api.CaptureLead(t.Context(), capture("s-1", "jo@acme.example"))
	if err != nil || !first.GetCreated() {
		t.Fatalf("first: %v, %v", first, err)
	}
	for i := range 200 { // more than the state's recent ids
		r.track("/v1/track", map[string]any{"userId": "u", "messageId": fmt.Sprint(i), "event": "Tick", "context": map[string]any{"traits": map[string]any{"email": "jo@acme.example"}}})
	}
	again, err := r.api.CaptureLead(t.Context(), capture("s-1", "jo@acme.example"))
	if err != nil || !again.GetDuplicate() || again.GetCreated() || again.GetLeadId() != first.GetLeadId() {
		t.Fatalf("again: %v, %v", again, err)
	}
	if n := strings.Count(r.all(first.GetLeadId()), "form_submitted"); n != 1 {
		t.Errorf("recorded %d times", n)
	}
}

func (r *room) all(id string) string {
	r.t.Helper()
	got, err := r.api.ListActivities(r.t.Context(), &ingestv1.ListActivitiesRequest{LeadId: id, Limit: 500})
	if err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprint(got.GetActivities())
}

func TestACrashBetweenClaimAndRecordHealsOnRetry(t *testing.T) {
	r := newRoom(t)
	raw, err := hex.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	h := identity.NewHasher(raw)
	const lead = "0193f0000000700080000000000000aa"
	claim, err := proto.Marshal(&ingestv1.Claim{LeadId: lead})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []identity.Key{h.ExternalKey("crm", "s-9"), h.Key(identity.Email, "jo@acme.example")} {
		if won, err := r.bus.Claim(t.Context(), store.Subject(k), claim); err != nil || !won {
			t.Fatalf("claim: %v, %v", won, err)
		}
	}
	got, err := r.api.CaptureLead(t.Context(), capture("s-9", "Jo@acme.example"))
	if err != nil || got.GetLeadId() != lead || !got.GetCreated() || got.GetDuplicate() {
		t.Fatalf("retry after the crash: %v, %v", got, err)
	}
	got, err = r.api.CaptureLead(t.Context(), capture("s-9", "jo@acme.example"))
	if err != nil || !got.GetDuplicate() {
		t.Fatalf("one more retry: %v, %v", got, err)
	}
}

func TestManyAtOnceOnTwoReplicasAreOneLeadPerAddress(t *testing.T) {
	srv := bustest.Server(t)
	rooms := []*room{joinRoom(t, bustest.Connect(t, srv)), joinRoom(t, bustest.Connect(t, srv))}
	const people, each = 5, 24
	leads := make([]map[string]bool, people)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range people * each {
		p := i % people
		leads[p] = map[string]bool{}
		wg.Go(func() {
			got, err := rooms[i%2].api.CaptureLead(t.Context(), &ingestv1.CaptureLeadRequest{
				Source: "crm", Profile: &leadv1.Profile{Email: fmt.Sprintf("p%d@acme.example", p)},
				UserId: fmt.Sprintf("user-%d", p), AnonymousId: fmt.Sprintf("anon-%d-%d", p, i%3),
				Activity: &leadv1.Activity{Id: fmt.Sprint(i), Type: "form_submitted"},
			})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			leads[p][got.GetLeadId()] = true
		})
	}
	wg.Wait()
	for p, ids := range leads {
		if len(ids) != 1 {
			t.Errorf("person %d is %d leads", p, len(ids))
		}
		for id := range ids {
			if n := rooms[0].lead(id).GetActivities(); n != each {
				t.Errorf("person %d has %d activities, expected %d", p, n, each)
			}
		}
	}
	if n := rooms[0].people(); n != people {
		t.Errorf("%d leads that are not merged, expected %d", n, people)
	}
}

// people counts the leads that are not merged into another one.
func (r *room) people() (n int) {
	r.t.Helper()
	stream, err := r.api.ExportLeads(r.t.Context(), &ingestv1.ExportLeadsRequest{})
	if err != nil {
		r.t.Fatal(err)
	}
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			r.t.Fatal(err)
		}
		n++
	}
}

func (r *room) publish(subject string, data []byte, headers ...string) {
	r.t.Helper()
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	for i := 0; i+1 < len(headers); i += 2 {
		msg.Header.Set(headers[i], headers[i+1])
	}
	if _, err := r.bus.Publish(r.t.Context(), msg); err != nil {
		r.t.Fatal(err)
	}
}

func TestMessagesOnInboundBecomeActivities(t *testing.T) {
	r := newRoom(t)
	id := r.submit("email=jo@acme.example")
	click, err := proto.Marshal(&ingestv1.Inbound{Command: &ingestv1.Inbound_Track{Track: &ingestv1.TrackActivityRequest{
		Who: &ingestv1.Who{LeadId: id}, Activity: &leadv1.Activity{Id: "c1", Type: "email_clicked", Properties: map[string]string{"touch_id": "t1"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	r.publish("inbound.campaign", click, "Content-Type", "application/x-protobuf")
	r.publish("inbound.campaign", click, "Content-Type", "application/x-protobuf")
	r.publish("inbound.product", []byte(`{"batch":[{"type":"identify","userId":"u1","messageId":"m1","traits":{"email":"jo@acme.example"}},{"type":"track","userId":"u1","messageId":"m2","event":"Project Created"}]}`))
	r.publish("inbound.product", []byte(`{"type":"track"`))
	r.publish("inbound.campaign", []byte("\xff"), "Content-Type", "application/x-protobuf")
	r.eventually("both are recorded", func() bool { return r.types(id) == "form_submitted email_clicked project_created" })
	r.eventually("what cannot be read is parked", func() bool { return len(r.parked()) == 2 })
	for _, p := range r.parked() {
		if p.GetReason() != bus.ReasonUndecodable || said(p) == "" || len(p.GetSealed()) == 0 {
			t.Errorf("parked %v", p)
		}
	}
	if list := r.rejects(""); len(list) != 2 {
		t.Errorf("what strangers published is not listed: %v", list)
	}
}

// inbound is how the stream of what upstreams publish stands.
func (r *room) inbound() jetstream.StreamState {
	r.t.Helper()
	stream, err := r.bus.JS.Stream(r.t.Context(), bus.Inbound)
	if err != nil {
		r.t.Fatal(err)
	}
	return stream.CachedInfo().State
}

func TestWhatWasTakenOfInboundDoesNotLieThereInTheClear(t *testing.T) {
	r := newRoom(t)
	r.publish("inbound.product", []byte(`{"type":"identify","userId":"u1","messageId":"m1","traits":{"email":"jo@acme.example"}}`))
	r.publish("inbound.product", []byte(`{"type":"track"`))
	r.eventually("one is a lead, one is parked", func() bool { return r.leads() == 1 && len(r.parked()) == 1 })
	r.eventually("nothing of them is left", func() bool { return r.inbound().Msgs == 0 })
	r.publish("inbound.product", []byte(`{"type":"track","userId":"u1","event":"Project Created"}`))
	id := r.submit("email=jo@acme.example")
	r.eventually("what comes later is taken", func() bool { return strings.Contains(r.types(id), "project_created") })
}

func TestConsentAndSuppressionAreDurableBeforeTheAnswer(t *testing.T) {
	r := newRoom(t)
	id := r.submit("email=jo@acme.example&consent_marketing_email=on")
	_, err := r.api.RecordConsent(t.Context(), &ingestv1.RecordConsentRequest{
		LeadId: id, Consent: &leadv1.Consent{Purpose: "marketing_email", Method: "one_click", Source: "campaign"},
		Suppression: leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.api.BatchGetLeads(t.Context(), &ingestv1.BatchGetLeadsRequest{LeadIds: []string{id, "unknown", "*", id}, Fresh: true})
	if err != nil || len(got.GetLeads()) != 2 {
		t.Fatalf("leads %v, %v", got, err)
	}
	lead := got.GetLeads()[0]
	if lead.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED || lead.GetConsents()[0].GetGranted() {
		t.Errorf("lead %v", lead)
	}
}

func TestCallsThatCannotBeAnsweredSayWhy(t *testing.T) {
	r := newRoom(t)
	calls := map[string]struct {
		call func() error
		code codes.Code
	}{
		"unknown lead": {func() error {
			_, err := r.api.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: "nobody"})
			return err
		}, codes.NotFound},
		"no lead at all": {func() error {
			_, err := r.api.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: "*.>"})
			return err
		}, codes.NotFound},
		"activity of an unknown lead": {func() error {
			_, err := r.api.TrackActivity(t.Context(), &ingestv1.TrackActivityRequest{Who: &ingestv1.Who{LeadId: "nobody"}, Activity: &leadv1.Activity{Type: "x"}})
			return err
		}, codes.NotFound},
		"activity of nobody": {func() error {
			_, err := r.api.TrackActivity(t.Context(), &ingestv1.TrackActivityRequest{Who: &ingestv1.Who{}, Activity: &leadv1.Activity{Type: "x"}})
			return err
		}, codes.InvalidArgument},
		"a bad address": {func() error {
			_, err := r.api.CaptureLead(t.Context(), capture("", "jo"))
			return err
		}, codes.InvalidArgument},
		"a bad source": {func() error {
			req := capture("", "jo@acme.example")
			req.Source = "No Such!"
			_, err := r.api.CaptureLead(t.Context(), req)
			return err
		}, codes.InvalidArgument},
	}
	for name, tc := range calls {
		if err := tc.call(); status.Code(err) != tc.code {
			t.Errorf("%s: %v, expected %s", name, err, tc.code)
		}
	}
	if n := r.leads(); n != 0 {
		t.Errorf("%d leads", n)
	}
}

func TestARestartRemembersEverybody(t *testing.T) {
	b := bustest.New(t)
	r := joinRoom(t, b)
	id := r.submit("email=jo@acme.example&anonymous_id=a1&user_id=u1")
	r.stop()
	r = joinRoom(t, b)
	for _, who := range []*ingestv1.Who{{Email: "jo@acme.example"}, {UserId: "u1"}, {AnonymousId: "a1"}} {
		got, err := r.api.TrackActivity(t.Context(), &ingestv1.TrackActivityRequest{Who: who, Activity: &leadv1.Activity{Type: "x"}})
		if err != nil || got.GetLeadId() != id {
			t.Errorf("%v is %v, %v", who, got, err)
		}
	}
}

func TestAnotherIdentityKeyIsRefused(t *testing.T) {
	b := bustest.New(t)
	joinRoom(t, b).stop()
	cfg := ingest.DefaultConfig()
	cfg.Sources, cfg.IdentityKey = filepath.Join("..", "..", "deploy", "example", "sources.yaml"), strings.Repeat("ab", 32)
	cfg.DataKey = secret
	svc, err := ingest.New(cfg, ingest.Deps{Bus: b, Log: slog.New(slog.DiscardHandler), HTTP: listen(t), GRPC: listen(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "identity_key") {
		t.Errorf("ran with another key: %v", err)
	}
}

func TestOverloadIsSaidAndNothingIsLost(t *testing.T) {
	r := newRoomWith(t, func(c *ingest.Config) { c.MaxInFlight = 3 })
	body := []byte(`{"writeKey":"` + websiteKey + `","batch":[{"type":"track","userId":"u","event":"x"},{"type":"track","userId":"u","event":"x"},{"type":"track","userId":"u","event":"x"},{"type":"track","userId":"u","event":"x"}]}`)
	got := r.post("/v1/batch", body)
	if got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("answered %d, Retry-After %q: %s", got.status, got.header.Get("Retry-After"), got.body)
	}
	if n := r.leads(); n != 0 {
		t.Errorf("%d leads of a refused batch", n)
	}
}

func TestALogThatIsGoneIsSaid(t *testing.T) {
	srv := bustest.Server(t)
	r := joinRoom(t, bustest.Connect(t, srv))
	r.submit("email=jo@acme.example")
	srv.Shutdown()
	srv.WaitForShutdown()
	got := r.post("/v1/forms/website", []byte("email=kim@acme.example"), "Content-Type", formType)
	if got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("answered %d, Retry-After %q: %s", got.status, got.header.Get("Retry-After"), got.body)
	}
}
