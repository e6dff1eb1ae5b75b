package ready_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/services/scoring/internal/model"
	"github.com/nurturehq/nurture/services/scoring/internal/ready"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

const yamlModel = `
name: test
fit:
  bands: {A: 40, B: 20}
behaviour:
  bands: {1: 60, 2: 30, 3: 10}
qualify:
  A: {theta_hi: 50, theta_lo: 30}
  B: {theta_hi: 60, theta_lo: 40}
  cool_down: 24h
`

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// lead is a lead of fit A in nurture, changed by what a case says.
func lead(behaviour float64, change func(*scoringv1.State)) *scoringv1.State {
	s := &scoringv1.State{Score: &scoringv1.Score{
		Fit: 45, Behaviour: behaviour, Stage: leadv1.Stage_STAGE_NURTURING,
	}}
	if change != nil {
		change(s)
	}
	return s
}

func isReady(s *scoringv1.State) {
	s.Score.Qualified, s.Score.Stage = true, leadv1.Stage_STAGE_QUALIFIED
}

func flipped(ago time.Duration) func(*scoringv1.State) {
	return func(s *scoringv1.State) { s.FlippedAt = timestamppb.New(now.Add(-ago)) }
}

func in(at leadv1.Stage) func(*scoringv1.State) {
	return func(s *scoringv1.State) { s.Score.Stage = at }
}

func both(a, b func(*scoringv1.State)) func(*scoringv1.State) {
	return func(s *scoringv1.State) { a(s); b(s) }
}

func TestALeadIsReadyOrNotForANamedReason(t *testing.T) {
	m, err := model.Parse("model.yaml", []byte(yamlModel))
	if err != nil {
		t.Fatal(err)
	}
	hurry := func(s *scoringv1.State) { s.FastTrackRule = "demo" }
	fit := func(points float64) func(*scoringv1.State) {
		return func(s *scoringv1.State) { s.Score.Fit = points }
	}
	tests := []struct {
		name   string
		state  *scoringv1.State
		ready  bool
		reason ready.Reason
	}{
		{"below the line", lead(49.9, nil), false, ready.BelowLine},
		{"at the line", lead(50, nil), true, ready.Threshold},
		{"the line of fit B is higher", lead(55, fit(20)), false, ready.BelowLine},
		{"fit C never qualifies by points", lead(900, fit(0)), false, ready.WrongFit},
		{"between the lines it stays ready", lead(31, isReady), true, ready.Lingers},
		{"between the lines it stays not ready", lead(31, nil), false, ready.BelowLine},
		{"below theta_lo it stops", lead(29.9, isReady), false, ready.Faded},
		{"a change of fit can stop it", lead(55, both(isReady, fit(0))), false, ready.WrongFit},
		{"too soon to become ready again", lead(80, flipped(23*time.Hour)), false, ready.CoolingDown},
		{"too soon to stop", lead(5, both(isReady, flipped(time.Hour))), true, ready.CoolingDown},
		{"the cool-down is over", lead(80, flipped(24*time.Hour)), true, ready.Threshold},
		{"old evidence does not count twice", lead(80, func(s *scoringv1.State) { s.OwedPoints = 3 }), false, ready.OwesEvidence},
		{"a fast track needs no points", lead(0, both(hurry, fit(0))), true, ready.FastTrack},
		{"a fast track knows no cool-down", lead(0, both(hurry, flipped(time.Minute))), true, ready.FastTrack},
		{"sales keeps what has faded", lead(0, in(leadv1.Stage_STAGE_ACCEPTED)), true, ready.WithSales},
		{"suppression beats the fast track", lead(90, both(hurry, func(s *scoringv1.State) { s.Suppressed = true })), false, ready.Suppressed},
		{"a customer is not for sale", lead(90, in(leadv1.Stage_STAGE_WON)), false, ready.Closed},
		{"points do not reopen what was lost", lead(90, in(leadv1.Stage_STAGE_LOST)), false, ready.Closed},
		{"a lost lead that asks again is ready", lead(0, both(hurry, in(leadv1.Stage_STAGE_LOST))), true, ready.FastTrack},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := ready.Decide(m, tt.state, now)
			if v.Ready != tt.ready || v.Reason != tt.reason {
				t.Fatalf("got %+v, want %v because %s", v, tt.ready, tt.reason)
			}
			if v.Reason == ready.CoolingDown && !v.Until.After(now) {
				t.Errorf("the cool-down ends at %v", v.Until)
			}
			said := ready.Sentence(m, tt.state, v)
			if !strings.HasSuffix(said, ".") || strings.Contains(said, "Inf") || strings.Contains(said, "%!") {
				t.Errorf("says %q", said)
			}
		})
	}
}

func TestTheVerdictSaysHowMuchIsMissing(t *testing.T) {
	m, err := model.Parse("model.yaml", []byte(yamlModel))
	if err != nil {
		t.Fatal(err)
	}
	s := lead(31.24, nil)
	want := "Not ready: behaviour 31.2 is 18.8 below the line of 50 for fit A."
	if got := ready.Sentence(m, s, ready.Decide(m, s, now)); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestWhatSalesHasSaysWhyItWasFoundReady(t *testing.T) {
	m, err := model.Parse("model.yaml", []byte(yamlModel+"\nfast_track:\n  - {id: demo, on: demo_requested, text: Asked for a demo}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for why, want := range map[string]string{
		"threshold":            "Found ready: its behaviour reached the line. With sales (ACCEPTED)",
		"fast_track:gone_rule": "Found ready: gone_rule. With sales (ACCEPTED)",
		"fast_track:demo":      "Found ready: Asked for a demo. With sales (ACCEPTED)",
	} {
		s := lead(0, in(leadv1.Stage_STAGE_ACCEPTED))
		s.QualifiedWhy = why
		if got := ready.Sentence(m, s, ready.Decide(m, s, now)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: says %q, want %q", why, got, want)
		}
	}
}
