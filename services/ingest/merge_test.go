package ingest_test

import (
	"slices"
	"strings"
	"testing"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// addressed captures a lead with one address.
func (r *room) addressed(email string) string {
	r.t.Helper()
	got, err := r.api.CaptureLead(r.t.Context(), &ingestv1.CaptureLeadRequest{
		Source: "crm", Profile: &leadv1.Profile{Email: email},
		Activity: &leadv1.Activity{Id: "signed-up-" + email, Type: "signed_up"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return got.GetLeadId()
}

// did tracks one activity of a lead and gives the lead it is recorded with.
func (r *room) did(email, id string) *ingestv1.TrackActivityResponse {
	r.t.Helper()
	got, err := r.api.TrackActivity(r.t.Context(), &ingestv1.TrackActivityRequest{
		Who: &ingestv1.Who{Email: email}, Activity: &leadv1.Activity{Id: id, Type: "called"},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func TestAMergedLeadAnswersAsItsSurvivorAndAnUnmergeGivesItBack(t *testing.T) {
	r := newRoom(t)
	one, two := r.addressed("jo@acme.example"), r.addressed("jo@home.example")
	r.did("jo@home.example", "before")
	if _, err := r.api.MergeLeads(t.Context(), &ingestv1.MergeLeadsRequest{LeadId: one, FromLeadId: two, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	got, err := r.api.BatchGetLeads(t.Context(), &ingestv1.BatchGetLeadsRequest{LeadIds: []string{two}, Fresh: true})
	if err != nil || len(got.GetLeads()) != 1 || got.GetLeads()[0].GetLeadId() != one {
		t.Fatalf("asked for the merged lead: %v, %v", got, err)
	}
	if again := r.did("jo@home.example", "before"); again.GetLeadId() != one || !again.GetDuplicate() {
		t.Errorf("sent again after the merge: %v", again)
	}
	if between := r.did("jo@home.example", "between"); between.GetLeadId() != one || between.GetDuplicate() {
		t.Errorf("told while merged: %v", between)
	}
	if n := r.lead(one).GetActivities(); n != 4 {
		t.Errorf("the survivor has %d activities, expected 4", n)
	}
	if _, err := r.api.UnmergeLead(t.Context(), &ingestv1.UnmergeLeadRequest{LeadId: two, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	if a, b := r.lead(one), r.lead(two); a.GetActivities() != 1 || b.GetActivities() != 3 || b.GetLeadId() != two || b.GetProfile().GetEmail() != "jo@home.example" {
		t.Errorf("after the unmerge: %v and %v", a, b)
	}
	if after := r.did("jo@home.example", "between"); after.GetLeadId() != two || !after.GetDuplicate() {
		t.Errorf("sent again after the unmerge: %v", after)
	}
}

func TestWhoAsksForTheDataOfAMergedLeadGetsAllOfThePerson(t *testing.T) {
	r := newRoom(t)
	one, two := r.addressed("jo@acme.example"), r.addressed("jo@home.example")
	if _, err := r.api.MergeLeads(t.Context(), &ingestv1.MergeLeadsRequest{LeadId: one, FromLeadId: two, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{one, two} {
		got, err := r.api.ExportLead(t.Context(), &ingestv1.ExportLeadRequest{LeadId: id})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.GetLeadIds(), []string{one, two}) || len(got.GetEmails()) != 2 {
			t.Errorf("asked for %s: leads %v, %d addresses", id, got.GetLeadIds(), len(got.GetEmails()))
		}
	}
}

// agreed lists what the ledger of consents has of a lead: purpose, and of whom it
// was told, by the names given.
func (r *room) agreed(lead string, names map[string]string) string {
	r.t.Helper()
	got, err := r.api.ListConsents(r.t.Context(), &ingestv1.ListConsentsRequest{LeadId: lead})
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []string
	for _, e := range got.GetEntries() {
		what := e.GetConsent().GetPurpose()
		if e.GetSuppressed() != nil {
			what = e.GetSuppressed().GetReason().String()
		}
		lines = append(lines, what+" of "+names[e.GetLeadId()])
	}
	return strings.Join(lines, ", ")
}

func TestConsentsFollowAMergeAndComeApartAgain(t *testing.T) {
	r := newRoom(t)
	one, two := r.addressed("jo@acme.example"), r.addressed("jo@home.example")
	names := map[string]string{one: "one", two: "two"}
	say := func(lead, purpose string, forbids leadv1.Suppression) {
		t.Helper()
		_, err := r.api.RecordConsent(t.Context(), &ingestv1.RecordConsentRequest{
			LeadId: lead, Suppression: forbids, Consent: &leadv1.Consent{Purpose: purpose, Granted: true, Method: "form", Source: "website", Text: "Yes"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	say(one, "first", 0)
	say(two, "second", leadv1.Suppression_SUPPRESSION_MANUAL)
	if _, err := r.api.MergeLeads(t.Context(), &ingestv1.MergeLeadsRequest{LeadId: one, FromLeadId: two, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	say(two, "third", 0)
	say(one, "fourth", 0)
	for _, lead := range []string{one, two} {
		if got, want := r.agreed(lead, names), "first of one, second of two, SUPPRESSION_MANUAL of two, third of two, fourth of one"; got != want {
			t.Errorf("merged, asked for %s:\n got %s\nwant %s", names[lead], got, want)
		}
	}
	if _, err := r.api.UnmergeLead(t.Context(), &ingestv1.UnmergeLeadRequest{LeadId: two, By: "ada"}); err != nil {
		t.Fatal(err)
	}
	say(two, "fifth", 0)
	if got, want := r.agreed(one, names), "first of one, fourth of one"; got != want {
		t.Errorf("after the unmerge:\n got %s\nwant %s", got, want)
	}
	if got, want := r.agreed(two, names), "second of two, SUPPRESSION_MANUAL of two, third of two, fifth of two"; got != want {
		t.Errorf("after the unmerge:\n got %s\nwant %s", got, want)
	}
}
