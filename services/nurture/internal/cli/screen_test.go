package cli

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/funnel"
	"github.com/nurturehq/nurture/services/nurture/internal/intake"
)

func TestTheFunnelFitsANarrowTerminal(t *testing.T) {
	s := funnel.Snapshot{
		Captured: 9999, Accepted: 999, Recycled: 999, Orphans: 99, Parked: 99,
		Stages: map[leadv1.Stage]int{leadv1.Stage_STAGE_NURTURING: 9999, leadv1.Stage_STAGE_ACCEPTED: 999, leadv1.Stage_STAGE_WON: 999},
		Tally:  funnel.Tally{Sent: 99999, Deferred: 999, Suppressed: 999, Bounced: 99},
	}
	lines := funnelLines(s)
	for _, line := range lines {
		if len(line) > 80 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"captured 9999", "999 at sales", "999 won", "99 orphans", "99999 sent", "nurture parked list"} {
		if !strings.Contains(text, want) {
			t.Errorf("the funnel does not show %q:\n%s", want, text)
		}
	}
}

func TestTheFunnelIsDrawnOverItself(t *testing.T) {
	first, again := over(0, []string{"a", "b"}), over(2, []string{"a", "c"})
	if strings.Contains(first, "A") || !strings.HasPrefix(again, "\x1b[2A") || strings.Count(again, "\x1b[K") != 2 {
		t.Errorf("drew %q, then %q", first, again)
	}
}

func TestALeadsStoryIsToldInOrder(t *testing.T) {
	at := func(s int) *timestamppb.Timestamp {
		return timestamppb.New(time.Date(2026, 3, 2, 9, 0, s, 0, time.UTC))
	}
	s := &biography{
		lead: &leadv1.Lead{
			LeadId: "L1", Profile: &leadv1.Profile{FirstName: "Ann", Email: "ann@acme.example"},
			Consents: []*leadv1.Consent{{Purpose: "marketing_email", Granted: true, At: at(1)}, {Purpose: "product_news", Pending: true, At: at(1)}},
		},
		activities: []*leadv1.Activity{{Type: "page_viewed", Properties: map[string]string{"path": "/pricing"}, OccurredAt: at(20)}},
		score: &scoringv1.ExplainScoreResponse{
			Score:   &scoringv1.Score{Grade: "A2", Fit: 30, Behaviour: 31, Stage: leadv1.Stage_STAGE_ASSIGNED},
			Reasons: []*scoringv1.Reason{{Axis: scoringv1.Reason_AXIS_FIT, Text: "Decides", Points: 30}}, Verdict: "Ready.",
		},
		enrollments: []*campaignv1.Enrollment{{Program: "welcome", EnrolledAt: at(2), EndedAt: at(30), EndedWhy: "goal"}},
		touches:     []*campaignv1.Touch{{Program: "welcome", Step: "hello", Status: campaignv1.TouchStatus_TOUCH_STATUS_SENT, PlannedAt: at(3)}},
		handoff:     &handoffv1.Handoff{Status: handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED, Rep: "ada", Why: "threshold", QualifiedAt: at(29), AssignedAt: at(31)},
	}
	var out bytes.Buffer
	if err := printBiography(&out, s); err != nil {
		t.Fatal(err)
	}
	rest := out.String()
	for _, want := range []string{
		"Ann", "marketing_email granted", "product_news waits for confirmation", "A2, stage assigned", "+30.0", "welcome/hello sent", "rep ada", "TIMELINE",
		"enrolled in welcome", "page_viewed /pricing", "qualified: threshold", "left welcome: goal", "assigned to ada",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("%q is missing or out of order in:\n%s", want, out.String())
		}
		rest = after
	}
}

func TestAnImportDrawsABarOnATerminalOnly(t *testing.T) {
	for _, tty := range []bool{true, false} {
		var out, bar bytes.Buffer
		r := &importReport{p: &printer{w: &out}, bar: &printer{w: &bar}, tty: tty, began: time.Now().Add(-time.Second), before: 100}
		r.moved(intake.Tally{Rows: 150, Rejected: 2}, 0.5)
		r.moved(intake.Tally{Rows: 151, Rejected: 2}, 0.51) // too soon to be drawn again
		drawn := bar.String()
		r.end(intake.Tally{Rows: 151, Rejected: 2}, false)
		if !tty {
			if bar.Len() > 0 {
				t.Errorf("drawn where nobody looks: %q", bar.String())
			}
			continue
		}
		if !strings.Contains(drawn, "["+strings.Repeat("=", 12)+strings.Repeat(" ", 12)+"]  50 %  150 rows, 2 refused") || strings.Contains(drawn, "151") {
			t.Errorf("drawn: %q", drawn)
		}
		if rate := regexp.MustCompile(`, (\d+) rows/s`).FindStringSubmatch(drawn); rate == nil || rate[1] > "50" || len(rate[1]) > 2 {
			t.Errorf("rows of an earlier run are counted as speed: %q", drawn)
		}
		if !strings.HasSuffix(bar.String(), "\r\x1b[K") || !strings.Contains(out.String(), "151 rows") {
			t.Errorf("the bar stays: %q, %q", bar.String(), out.String())
		}
	}
}
