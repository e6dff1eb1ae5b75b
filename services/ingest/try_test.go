package ingest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nurturehq/nurture/pkg/bus/bustest"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest"
)

const triedYAML = partnerYAML + `
  ads: {kind: google_ads, secrets: [{env: HOOK_SECRET}]}
  shop:
    kind: crm
    secrets: [{env: HOOK_SECRET}]
    fields: {record.stage: status, record.np: lead_id}
    options: {accepted: "Working, Open"}
  questions: {kind: typeform, secrets: [{env: HOOK_SECRET}], fields: {firm: company}}
  bus: {kind: cloudevents, secrets: [{env: HOOK_SECRET}]}
  portal: {kind: hubspot, secrets: [{env: HOOK_SECRET}]}
  mails: {kind: postmark, secrets: [{env: HOOK_SECRET}]}
  letters: {kind: mailgun, secrets: [{env: HOOK_SECRET}]}
  site:
    form: {required: [email, company], consents: [{field: ok, purpose: marketing_email, text: Write to me, version: "1"}]}
`

// try sends a sample through a source.
func (r *room) try(req *ingestv1.TestSourceRequest) *ingestv1.TestSourceResponse {
	r.t.Helper()
	got, err := r.api.TestSource(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func triedRoom(t *testing.T) *room {
	t.Helper()
	t.Setenv("HOOK_SECRET", hookSecret)
	f := newSources(t, triedYAML+"  app: {keys: ["+hashed("app-key")+"]}\n")
	return joinRoomWith(t, bustest.New(t), func(d *ingest.Deps) { d.Handoff = &sales{} }, func(c *ingest.Config) { c.Sources = f.path })
}

func TestASampleGoesThroughASourceAndSaysWhatBecameOfIt(t *testing.T) {
	r := triedRoom(t)
	for _, tc := range []struct{ source, key, activity string }{
		{"partner", "", "demo_requested"},
		{"ads", "", "form_submitted"},
		{"questions", "", "form_submitted"},
		{"bus", "", "form_submitted"},
		{"portal", "", "form_submitted"},
		{"site", "", "form_submitted"},
		{"app", "app-key", ""},
	} {
		got := r.try(&ingestv1.TestSourceRequest{Source: tc.source, WriteKey: tc.key})
		if got.GetStatus()/100 != 2 || got.GetHeld() != "" || len(got.GetItems()) == 0 {
			t.Errorf("%s answered %d %s: %v", tc.source, got.GetStatus(), got.GetAnswer(), got.GetItems())
			continue
		}
		it := got.GetItems()[0]
		if it.GetBecame() != "lead" || it.GetLeadId() == "" || len(it.GetFaults()) > 0 || it.GetProfile().GetEmail() != "source-test@nurture.test" || it.GetActivity().GetType() != tc.activity {
			t.Errorf("%s: %v", tc.source, it)
		}
		if strings.Contains(string(got.GetSent()), hookSecret) {
			t.Errorf("%s shows its secret: %s", tc.source, got.GetSent())
		}
		if company := it.GetProfile().GetCompany(); tc.source != "portal" && company == "" {
			t.Errorf("%s: the mapped company is lost: %v", tc.source, it)
		}
	}
	if lead := r.lead(r.submitAs("source-test@nurture.test")); !lead.GetFlags().GetTest() {
		t.Errorf("the person of the samples is no test lead: %v", lead)
	}
	if n := r.leads(); n != 1 {
		t.Errorf("%d leads; the person of all samples is one", n)
	}
	if list := r.parked(); len(list) != 0 {
		t.Errorf("the samples left %v", list)
	}
}

func TestWhatASampleCannotTellTrulyIsOnlyRead(t *testing.T) {
	r := triedRoom(t)
	for source, became := range map[string]string{"shop": "sales", "mails": "lead", "letters": "lead"} {
		got := r.try(&ingestv1.TestSourceRequest{Source: source})
		if got.GetHeld() == "" || got.GetStatus() != 0 || len(got.GetItems()) != 1 || got.GetItems()[0].GetBecame() != became {
			t.Errorf("%s: %v", source, got)
		}
	}
	got := r.try(&ingestv1.TestSourceRequest{Source: "partner", DryRun: true})
	if got.GetHeld() == "" || len(got.GetItems()) != 1 || got.GetItems()[0].GetLeadId() != "" || got.GetItems()[0].GetProfile().GetEmail() == "" {
		t.Errorf("a dry run: %v", got)
	}
	if r.leads() != 0 || len(r.parked()) != 0 || r.inbound().LastSeq != 0 {
		t.Errorf("reading left %d leads, %v, %d messages", r.leads(), r.parked(), r.inbound().LastSeq)
	}
	if src, _ := r.source("partner"); src.GetCounts().GetAccepted() != 0 {
		t.Errorf("reading was counted: %v", src.GetCounts())
	}
}

func TestASampleOfOnesOwnShowsWhatIsWrongWithTheMapping(t *testing.T) {
	r := triedRoom(t)
	got := r.try(&ingestv1.TestSourceRequest{Source: "partner", DryRun: true, Body: []byte(`{"contact":{"email":"jo@acme.example"}}`)})
	if len(got.GetItems()) != 1 || got.GetItems()[0].GetBecame() != "reject" || len(got.GetItems()[0].GetFaults()) == 0 {
		t.Errorf("a message that the mapping does not fit: %v", got)
	}
	for _, tc := range []struct {
		req  *ingestv1.TestSourceRequest
		want string
	}{
		{&ingestv1.TestSourceRequest{Source: "nobody"}, "nurture source list"},
		{&ingestv1.TestSourceRequest{Source: "app"}, "--key"},
		{&ingestv1.TestSourceRequest{Source: "app", WriteKey: "another"}, "not one of source app"},
	} {
		if _, err := r.api.TestSource(t.Context(), tc.req); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v", tc.req, err)
		}
	}
	if bad := r.try(&ingestv1.TestSourceRequest{Source: "partner", Body: []byte("{")}); bad.GetStatus() != http.StatusBadRequest {
		t.Errorf("what is not JSON: %v", bad)
	}
}
