package journey_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/pkg/stage"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
)

var update = flag.Bool("update", false, "write the golden transcripts")

// TestWholeJourneysReadLikeTheirTranscripts drives leads through their whole
// life and compares every decision with testdata, which people can read.
func TestWholeJourneysReadLikeTheirTranscripts(t *testing.T) {
	t.Parallel()
	for name, live := range map[string]func(*world){
		"clicks_and_qualifies":       clicksAndQualifies,
		"rejected_and_recycled":      rejectedAndRecycled,
		"deferred_then_unsubscribes": deferredThenUnsubscribes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, welcome, recycle, keepWarm)
			begin := w.now
			live(w)
			got := transcript(w, begin)
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("transcript (-want +got):\n%s", diff)
			}
		})
	}
}

func clicksAndQualifies(w *world) {
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.pass(time.Second)
	w.sent("lead-1-t1")
	w.pass(40 * time.Minute)
	w.does("email_clicked", "touch_id", "lead-1-t1")
	w.pass(time.Second)
	w.sent("lead-1-t2")
	w.pass(time.Hour)
	w.stage(leadv1.Stage_STAGE_QUALIFIED)
}

func rejectedAndRecycled(w *world) {
	clicksAndQualifies(w)
	w.pass(time.Second)
	w.turn(func(t *journey.Turn) { t.SalesTold(leadv1.Stage_STAGE_ASSIGNED, false) })
	w.pass(time.Hour)
	w.turn(func(t *journey.Turn) { t.SalesTold(leadv1.Stage_STAGE_RECYCLED, true) })
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.due()
	w.pass(time.Second)
	w.sent("lead-1-t3")
	w.due()
}

func deferredThenUnsubscribes(w *world) {
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.outcome("lead-1-t1", campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED, w.now.Add(8*time.Hour))
	w.due()
	w.outcome("lead-1-t1", campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED, w.now.Add(8*time.Hour))
	w.pass(time.Hour)
	w.turn(func(t *journey.Turn) { t.LeadTold(&leadv1.Facts{HasEmail: true, Suppressed: true}, nil) })
}

func transcript(w *world, begin time.Time) string {
	var b strings.Builder
	for _, e := range w.events {
		fmt.Fprintf(&b, "%9s  %s\n", e.OccurredAt.AsTime().Sub(begin), describe(e))
	}
	wake := "never"
	if !w.wake.IsZero() {
		wake = w.wake.Sub(begin).String()
	}
	fmt.Fprintf(&b, "at last: stage %s, programs %v, wakes %s\n", stage.Name(w.state.Stage), w.state.View.Programs, wake)
	return b.String()
}

func describe(e *campaignv1.Event) string {
	switch f := e.Fact.(type) {
	case *campaignv1.Event_Enrolled:
		return fmt.Sprintf("enrolled in %s (%s)", f.Enrolled.Enrollment.Program, f.Enrolled.Enrollment.Why)
	case *campaignv1.Event_StepEntered:
		return fmt.Sprintf("%s: step %s (%s)", f.StepEntered.Program, f.StepEntered.Step, f.StepEntered.Reason)
	case *campaignv1.Event_TouchPlanned:
		return fmt.Sprintf("%s: touch %s planned at step %s", f.TouchPlanned.Touch.Program, f.TouchPlanned.Touch.Id, f.TouchPlanned.Touch.Step)
	case *campaignv1.Event_TouchSettled:
		status := strings.ToLower(strings.TrimPrefix(f.TouchSettled.Touch.Status.String(), "TOUCH_STATUS_"))
		return fmt.Sprintf("%s: touch %s %s (%s)", f.TouchSettled.Touch.Program, f.TouchSettled.Touch.Id, status, f.TouchSettled.Touch.Reason)
	case *campaignv1.Event_GoalMet:
		return f.GoalMet.Program + ": goal met"
	case *campaignv1.Event_Exited:
		return fmt.Sprintf("%s: ended (%s)", f.Exited.Enrollment.Program, f.Exited.Enrollment.EndedWhy)
	default:
		return "something unknown"
	}
}
