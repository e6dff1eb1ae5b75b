package ingest_test

import (
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest"
)

const purpose = "marketing_email"

func lawfulRoom(t *testing.T) *room {
	t.Helper()
	return newRoomWith(t, lawful)
}

func lawful(c *ingest.Config) {
	c.Consent = filepath.Join("..", "..", "deploy", "example", "consent.yaml")
}

// ticked captures a lead who ticked the box of a form.
func (r *room) ticked(email, country string) string {
	r.t.Helper()
	resp, err := r.api.CaptureLead(r.t.Context(), &ingestv1.CaptureLeadRequest{
		Source: "website", Profile: &leadv1.Profile{Email: email, Country: country},
		Consents: []*leadv1.Consent{{Purpose: purpose, Granted: true, Method: "form", Text: "Send me articles.", TextVersion: "7"}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.GetLeadId()
}

// fresh reads a lead as the sender does before a mail.
func (r *room) fresh(lead string) *leadv1.Lead {
	r.t.Helper()
	resp, err := r.api.BatchGetLeads(r.t.Context(), &ingestv1.BatchGetLeadsRequest{LeadIds: []string{lead}, Fresh: true})
	if err != nil || len(resp.GetLeads()) != 1 {
		r.t.Fatalf("%d leads, %v", len(resp.GetLeads()), err)
	}
	return resp.GetLeads()[0]
}

func (r *room) allowed(lead string) string {
	r.t.Helper()
	for _, p := range r.fresh(lead).GetPermissions() {
		if p.GetPurpose() == purpose {
			return p.GetReason()
		}
	}
	return "not listed"
}

func (r *room) wantReason(lead, reason string) {
	r.t.Helper()
	if got := r.allowed(lead); got != reason {
		r.t.Errorf("%s, want %s", got, reason)
	}
}

func (r *room) confirm(lead, request string) string {
	r.t.Helper()
	resp, err := r.api.ConfirmConsent(r.t.Context(), &ingestv1.ConfirmConsentRequest{
		LeadId: lead, RequestIds: []string{request}, How: &leadv1.Consent{Source: "campaign", Proof: lead + "-t1", Ip: "192.0.2.7"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.GetResult()
}

func (r *room) leaveAll(lead string) {
	r.t.Helper()
	_, err := r.api.UpdatePreferences(r.t.Context(), &ingestv1.UpdatePreferencesRequest{LeadId: lead, UnsubscribeAll: true, How: &leadv1.Consent{Source: "campaign", Method: "page"}})
	if err != nil {
		r.t.Fatal(err)
	}
}

func TestAConfirmationIsOneEventAndASecondUseSaysSo(t *testing.T) {
	r := lawfulRoom(t)
	lead := r.ticked("ann@x.example", "DE")
	r.wantReason(lead, "awaiting_confirmation")
	request := r.fresh(lead).GetConsents()[0].GetRequestId()
	for i, want := range []string{"confirmed", "already_confirmed", "already_confirmed"} {
		if got := r.confirm(lead, request); got != want {
			t.Errorf("use %d: %s, want %s", i+1, got, want)
		}
	}
	r.wantReason(lead, "granted")
	ledger, err := r.api.ListConsents(t.Context(), &ingestv1.ListConsentsRequest{LeadId: lead})
	if err != nil {
		t.Fatal(err)
	}
	if len(ledger.GetEntries()) != 3 || ledger.GetEntries()[1].GetAsked() == nil && ledger.GetEntries()[0].GetAsked() == nil {
		t.Fatalf("entries %v", ledger.GetEntries())
	}
	yes := ledger.GetEntries()[2].GetConsent()
	if yes.GetMethod() != "double_opt_in" || yes.GetText() != "Send me articles." || yes.GetRequestId() != request || yes.GetIp() != "192.0.2.7" {
		t.Errorf("the proof is %v", yes)
	}
}

func TestTheLedgerTellsWhatWasAllowedThen(t *testing.T) {
	r := lawfulRoom(t)
	lead := r.ticked("ann@x.example", "FR")
	granted := r.fresh(lead).GetConsents()[0].GetAt().AsTime()
	r.leaveAll(lead)
	for _, c := range []struct {
		at   time.Time
		want string
		n    int
	}{
		{granted.Add(-time.Second), "not_granted", 0}, {granted, "granted", 1}, {time.Now().Add(time.Hour), "suppressed_address", 5},
	} {
		resp, err := r.api.ListConsents(t.Context(), &ingestv1.ListConsentsRequest{LeadId: lead, AsOf: timestamppb.New(c.at)})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, p := range resp.GetPermissions() {
			if p.GetPurpose() == purpose {
				got = p.GetReason()
			}
		}
		if got != c.want || len(resp.GetEntries()) != c.n {
			t.Errorf("as of %v: %s and %d entries, want %s and %d", c.at, got, len(resp.GetEntries()), c.want, c.n)
		}
	}
}

func TestAnAddressOnTheListSuppressesWhoeverComesWithIt(t *testing.T) {
	r := lawfulRoom(t)
	add := &ingestv1.AddSuppressionsRequest{
		Emails: []string{"Ann@X.example", "not an address", "bo@x.example"}, Reason: leadv1.Suppression_SUPPRESSION_MANUAL, By: "kim", Note: "asked by phone",
	}
	resp, err := r.api.AddSuppressions(t.Context(), add)
	if err != nil || resp.GetAdded() != 2 || len(resp.GetInvalid()) != 1 || resp.GetInvalid()[0] != 1 {
		t.Fatalf("%v, %v", resp, err)
	}
	lead := r.ticked("ann@x.example", "FR")
	r.wantReason(lead, "suppressed_address")
	if got, err := r.api.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: lead}); err != nil || got.GetLead().GetSuppression() != add.GetReason() {
		t.Errorf("the record says %v, %v", got.GetLead().GetSuppression(), err)
	}
	other := r.ticked("cy@x.example", "FR")
	r.wantReason(other, "granted")
	if again := r.ticked("cy@x.example", "FR"); again != other {
		t.Fatal("a known address became somebody else")
	}
}

func TestASuppressedAddressStopsItsLeadAtOnceAndForLaterOnes(t *testing.T) {
	r := lawfulRoom(t)
	lead := r.ticked("ann@x.example", "FR")
	r.leaveAll(lead)
	r.wantReason(lead, "suppressed_address")
	check, err := r.api.CheckSuppression(t.Context(), &ingestv1.CheckSuppressionRequest{Email: " ANN@x.example"})
	if err != nil || !check.GetSuppressed() || check.GetEntry().GetReason() != leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED {
		t.Errorf("%v, %v", check, err)
	}
	list, err := r.api.ListSuppressions(t.Context(), &ingestv1.ListSuppressionsRequest{})
	if err != nil || len(list.GetSuppressions()) != 1 || list.GetSuppressions()[0].GetHash() == "" {
		t.Errorf("%v, %v", list, err)
	}
}

// TestTheLastLookKnowsTheListBeforeTheLeadDoes: the entry alone is enough, as
// after a crash between the list and the lead's record.
func TestTheLastLookKnowsTheListBeforeTheLeadDoes(t *testing.T) {
	r := lawfulRoom(t)
	lead := r.ticked("ann@x.example", "FR")
	r.leaveAll(lead)
	list, err := r.api.ListSuppressions(t.Context(), &ingestv1.ListSuppressionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	// Lift the record alone, as if the list had been written by somebody who died.
	msg, err := r.bus.LastMsg(t.Context(), bus.Leads, bus.IdentitySubject("suppressed", list.GetSuppressions()[0].GetHash()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.api.RemoveSuppression(t.Context(), &ingestv1.RemoveSuppressionRequest{Email: "ann@x.example", By: "kim", Note: "test"}); err != nil {
		t.Fatal(err)
	}
	r.wantReason(lead, "withdrawn")
	if _, err := r.bus.JS.Publish(t.Context(), msg.Subject, msg.Data); err != nil {
		t.Fatal(err)
	}
	r.wantReason(lead, "suppressed_address")
}

func TestWhoLeftComesBackByConfirmingAndTheAddressToo(t *testing.T) {
	r := lawfulRoom(t)
	lead := r.ticked("ann@x.example", "FR")
	r.leaveAll(lead)
	if again := r.ticked("ann@x.example", "FR"); again != lead {
		t.Fatal("somebody else")
	}
	r.wantReason(lead, "suppressed_address")
	var request string
	for _, c := range r.fresh(lead).GetConsents() {
		if c.GetPurpose() == purpose {
			request = c.GetRequestId()
		}
	}
	if got := r.confirm(lead, request); got != "confirmed" {
		t.Fatalf("result %s", got)
	}
	r.wantReason(lead, "granted")
	check, err := r.api.CheckSuppression(t.Context(), &ingestv1.CheckSuppressionRequest{Email: "ann@x.example"})
	if err != nil || check.GetSuppressed() || !check.GetEntry().GetLifted() {
		t.Errorf("%v, %v", check, err)
	}
}

func TestAComplaintIsLiftedByForceAlone(t *testing.T) {
	r := lawfulRoom(t)
	lead := r.ticked("ann@x.example", "DE")
	_, err := r.api.TrackActivity(t.Context(), &ingestv1.TrackActivityRequest{
		Who: &ingestv1.Who{LeadId: lead}, Activity: &leadv1.Activity{Type: "email_complained"}, Suppression: leadv1.Suppression_SUPPRESSION_COMPLAINT,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.confirm(lead, r.fresh(lead).GetConsents()[0].GetRequestId()); got != "withdrawn" {
		t.Errorf("confirmed: %s", got)
	}
	remove := &ingestv1.RemoveSuppressionRequest{Email: "ann@x.example", By: "kim", Note: "it was our own test mailbox"}
	if _, err := r.api.RemoveSuppression(t.Context(), remove); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("removed without force: %v", err)
	}
	r.wantReason(lead, "suppressed_address")
	remove.Force = true
	if resp, err := r.api.RemoveSuppression(t.Context(), remove); err != nil || !resp.GetRemoved() {
		t.Errorf("%v, %v", resp, err)
	}
	r.wantReason(lead, "awaiting_confirmation")
}

func TestPreferencesAreAnsweredAllAtOnce(t *testing.T) {
	r := lawfulRoom(t)
	lead := r.ticked("ann@x.example", "US")
	show, err := r.api.ListPreferences(t.Context(), &ingestv1.ListPreferencesRequest{LeadId: lead})
	if err != nil || len(show.GetPreferences()) != 3 || show.GetPreferences()[0].GetTitle() == "" {
		t.Fatalf("%v, %v", show, err)
	}
	_, err = r.api.UpdatePreferences(t.Context(), &ingestv1.UpdatePreferencesRequest{
		LeadId: lead, How: &leadv1.Consent{Source: "campaign", Method: "page"},
		Answers: []*ingestv1.PreferenceAnswer{{Purpose: purpose, Granted: false, Text: "Useful articles"}, {Purpose: "sales_call", Granted: true, Text: "A call"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range r.fresh(lead).GetPermissions() {
		got[p.GetPurpose()] = p.GetReason()
	}
	if got[purpose] != "withdrawn" || got["sales_call"] != "granted" || got["product_news"] != "opt_out_basis" {
		t.Errorf("%v", got)
	}
	if s := r.fresh(lead).GetSuppression(); s != leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
		t.Errorf("one answer suppressed the lead: %v", s)
	}
}
