package campaign

import (
	"testing"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func TestAJourneyHearsOfAClickWhenItIsJudged(t *testing.T) {
	t.Parallel()
	activity := func(a *leadv1.Activity) *ingestv1.Event {
		return &ingestv1.Event{Fact: &ingestv1.Event_Activity{Activity: a}}
	}
	judged := func(a *leadv1.Activity) *ingestv1.Event {
		return &ingestv1.Event{Fact: &ingestv1.Event_Judged{Judged: &ingestv1.Judged{Activity: a}}}
	}
	got := did([]*ingestv1.Event{
		activity(&leadv1.Activity{Id: "waits", Type: "email_clicked", Pending: true}),
		activity(&leadv1.Activity{Id: "page", Type: "page_viewed"}),
		judged(&leadv1.Activity{Id: "person", Type: "email_clicked", Verdict: "human"}),
		judged(&leadv1.Activity{Id: "machine", Type: "email_clicked", Verdict: "program", Machine: true}),
		{Fact: &ingestv1.Event_Identified{}},
	})
	names := ""
	for _, a := range got {
		names += a.GetId() + " "
	}
	if names != "page person machine " || !got[2].GetMachine() { // which the journey shows and does not believe
		t.Errorf("told of %s", names)
	}
}
