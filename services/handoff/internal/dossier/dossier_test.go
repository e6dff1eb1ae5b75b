package dossier_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/dossier"
)

func activity(n int) *leadv1.Activity {
	at := time.Date(2026, 3, 1, 0, n, 0, 0, time.UTC)
	return &leadv1.Activity{Id: fmt.Sprint(n), Type: "page_viewed", OccurredAt: timestamppb.New(at), Properties: map[string]string{"path": "/pricing"}}
}

func parts(activities, touches int) dossier.Parts {
	p := dossier.Parts{
		Handoff: &handoffv1.Handoff{LeadId: "lead-1", Rep: "ada"},
		Lead: &leadv1.Lead{
			Profile:  &leadv1.Profile{Email: "jo@acme.example", Attributes: map[string]string{"note": strings.Repeat("n", 900)}},
			Consents: []*leadv1.Consent{{Purpose: "marketing_email", Granted: true, Text: strings.Repeat("t", 4000)}},
		},
		Score: &scoringv1.ExplainScoreResponse{
			Score: &scoringv1.Score{Fit: 40, Behaviour: 25.5},
			Reasons: []*scoringv1.Reason{
				{Axis: scoringv1.Reason_AXIS_FIT, Points: 50},
				{Axis: scoringv1.Reason_AXIS_FIT, Points: -10},
				{Axis: scoringv1.Reason_AXIS_BEHAVIOUR, Points: 25.5},
			},
			Verdict: "asked for a demo",
		},
		Programs: []*campaignv1.Enrollment{{Program: "welcome"}},
	}
	for i := range activities {
		p.Timeline = append(p.Timeline, activity(activities-i))
	}
	for i := range touches {
		p.Touches = append(p.Touches, &campaignv1.Touch{Id: fmt.Sprint(i), Program: "welcome"})
	}
	return p
}

func TestADossierTellsWhoWhyAndWhatTheyDid(t *testing.T) {
	d := dossier.Assemble(parts(3, 1))
	if d.GetProfile().GetEmail() != "jo@acme.example" || d.GetVerdict() != "asked for a demo" || len(d.GetReasons()) != 3 {
		t.Fatalf("got %v", d)
	}
	if len(d.GetMissing()) != 0 {
		t.Fatalf("missing %v", d.GetMissing())
	}
	if !slices.IsSortedFunc(d.GetTimeline(), func(a, b *leadv1.Activity) int {
		return a.GetOccurredAt().AsTime().Compare(b.GetOccurredAt().AsTime())
	}) {
		t.Fatal("the timeline is not in order")
	}
}

func TestTheTimelineKeepsTheNewest(t *testing.T) {
	d := dossier.Assemble(parts(80, 0))
	if n := len(d.GetTimeline()); n != dossier.MaxTimeline || d.GetTimeline()[n-1].GetId() != "80" || d.GetTimeline()[0].GetId() != "31" {
		t.Fatalf("%d activities from %s", n, d.GetTimeline()[0].GetId())
	}
}

func TestAMissingPartIsNamed(t *testing.T) {
	p := parts(0, 0)
	p.Lead, p.Score = nil, nil
	p.Missing = []string{dossier.PartScore, dossier.PartLead}
	if got := dossier.Assemble(p).GetMissing(); !slices.Equal(got, []string{"lead", "score"}) {
		t.Fatalf("got %v", got)
	}
}

func TestReasonsThatDoNotAddUpAreNotShown(t *testing.T) {
	p := parts(0, 0)
	p.Score.Reasons[0].Points = 51
	d := dossier.Assemble(p)
	if d.GetReasons() != nil || !slices.Contains(d.GetMissing(), dossier.PartReasons) {
		t.Fatalf("got %v, missing %v", d.GetReasons(), d.GetMissing())
	}
}

func TestWhatDoesNotFitIsCutAndNamed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := dossier.Assemble(parts(rapid.IntRange(0, 60).Draw(t, "activities"), rapid.IntRange(0, 64).Draw(t, "touches")))
		limit := rapid.IntRange(1200, 20_000).Draw(t, "limit")
		raw, err := dossier.JSON(d, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > limit {
			t.Fatalf("%d bytes, %d are allowed", len(raw), limit)
		}
		back := &handoffv1.Dossier{}
		if err := protojson.Unmarshal(raw, back); err != nil {
			t.Fatal(err)
		}
		whole := len(back.GetTimeline()) == len(d.GetTimeline()) && len(back.GetTouches()) == len(d.GetTouches()) &&
			back.GetConsents()[0].GetText() == d.GetConsents()[0].GetText()
		if whole != (len(back.GetMissing()) == 0) {
			t.Fatalf("whole is %v, missing %v", whole, back.GetMissing())
		}
		if back.GetVerdict() == "" || back.GetHandoff() == nil || len(back.GetReasons()) != 3 {
			t.Fatal("the evidence itself was cut")
		}
	})
}

func TestTheSameDossierGivesTheSameBytes(t *testing.T) {
	a, err := dossier.JSON(dossier.Assemble(parts(9, 3)), 20_000)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := dossier.JSON(dossier.Assemble(parts(9, 3)), 20_000)
	if string(a) != string(b) || strings.Contains(string(a), `": `) {
		t.Fatalf("got\n%s\n%s", a, b)
	}
}

func TestADossierThatCannotBeCutSaysSo(t *testing.T) {
	if _, err := dossier.JSON(dossier.Assemble(parts(3, 3)), 50); !errors.Is(err, dossier.ErrTooLarge) {
		t.Fatalf("got %v", err)
	}
}

func TestWhatIsSealedLeavesNowhereAndWordsOnlyToSales(t *testing.T) {
	p := parts(1, 1)
	p.Handoff.Text, p.Handoff.SealedText = "call Jo's wife first", []byte("sealed")
	d := dossier.Assemble(p)
	if d.GetHandoff().GetText() != "call Jo's wife first" || len(d.GetHandoff().GetSealedText()) > 0 {
		t.Errorf("the dossier has the stay as %v", d.GetHandoff())
	}
	public := dossier.Anonymous(d)
	if got := public.GetHandoff(); got.GetText() != "" || got.GetRep() != "ada" || !slices.Contains(public.GetMissing(), dossier.PartText) {
		t.Errorf("the world is told %v", public)
	}
	if without := dossier.Anonymous(dossier.Assemble(parts(1, 1))); slices.Contains(without.GetMissing(), dossier.PartText) {
		t.Errorf("nothing was written, and is missing: %v", without.GetMissing())
	}
	if string(p.Handoff.GetSealedText()) != "sealed" || d.GetHandoff().GetText() == "" {
		t.Error("what was given is changed")
	}
}
