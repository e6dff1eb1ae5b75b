package ingest_test

import (
	"slices"
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
