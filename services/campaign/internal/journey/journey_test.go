package journey_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

func TestALeadWhoClicksGetsTheGuide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.wantStep("welcome", "hello")
	w.sent("lead-1-t1")
	w.wantStep("welcome", "clicked")
	w.does("email_clicked", "touch_id", "somebody-elses")
	w.wantStep("welcome", "clicked")
	w.does("email_clicked", "touch_id", "lead-1-t1")
	w.wantStep("welcome", "guide")
	w.sent("lead-1-t2")
	w.wantEnded("welcome", "finished")
}

func TestAClickThatOvertakesTheOutcomeCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.does("email_clicked", "touch_id", "lead-1-t1")
	w.sent("lead-1-t1")
	w.wantStep("welcome", "guide")
}

func TestAMachineClickMovesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.sent("lead-1-t1")
	w.turn(func(t *journey.Turn) {
		t.LeadTold(nil, []*leadv1.Activity{{Type: "email_clicked", Machine: true, Properties: map[string]string{"touch_id": "lead-1-t1"}}})
	})
	w.wantStep("welcome", "clicked")
}

func TestALeadWhoDoesNothingIsNudgedAfterTheTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.sent("lead-1-t1")
	if want := w.now.Add(3 * time.Hour); !w.wake.Equal(want) {
		t.Fatalf("wakes at %v, want %v", w.wake, want)
	}
	w.due()
	w.wantStep("welcome", "nudge")
}

func TestQualifiedIsTheGoal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.stage(leadv1.Stage_STAGE_QUALIFIED)
	w.wantEnded("welcome", "goal")
	if !w.in("welcome").GoalMet {
		t.Error("the goal is not marked as met")
	}
}

func TestSalesAndSuppressionEndEverything(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		tell func(*journey.Turn)
		why  string
	}{
		"assigned by handoff": {func(t *journey.Turn) { t.SalesTold(leadv1.Stage_STAGE_ASSIGNED, false) }, "with_sales"},
		"suppressed by ingest": {func(t *journey.Turn) {
			t.LeadTold(&leadv1.Facts{HasEmail: true, Suppressed: true}, nil)
		}, "suppressed"},
		"lost": {func(t *journey.Turn) { t.SalesTold(leadv1.Stage_STAGE_LOST, false) }, "stage_lost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, welcome, keepWarm)
			w.captured()
			w.stage(leadv1.Stage_STAGE_NURTURING)
			w.pass(time.Minute)
			w.turn(tt.tell)
			w.wantEnded("welcome", tt.why)
			if !w.wake.IsZero() {
				t.Errorf("wakes at %v, though nobody may write", w.wake)
			}
		})
	}
}

func TestARecycledLeadIsNotLostWhateverOrderTheNewsComeIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome, recycle, keepWarm)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.pass(time.Minute)
	w.turn(func(t *journey.Turn) { t.SalesTold(leadv1.Stage_STAGE_ASSIGNED, false) })
	assigned := w.now
	w.pass(time.Minute)
	w.turn(func(t *journey.Turn) { t.SalesTold(leadv1.Stage_STAGE_RECYCLED, true) })
	recycled := w.now
	w.wantStep("recycle", "pause")
	w.pass(time.Second)
	// Scoring learned all this too, and tells it late, one after the other.
	w.turn(func(t *journey.Turn) { t.ScoreTold(nil, leadv1.Stage_STAGE_ASSIGNED, assigned) })
	w.wantStep("recycle", "pause")
	w.turn(func(t *journey.Turn) { t.ScoreTold(nil, leadv1.Stage_STAGE_NURTURING, recycled) })
	w.wantStep("recycle", "pause")
	if w.state.Stage != leadv1.Stage_STAGE_NURTURING {
		t.Errorf("stage %v", w.state.Stage)
	}
}

func TestKeepWarmCatchesWhoFinishedEverythingAndLeavesWhenAnotherProgramBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome, recycle, keepWarm)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.sent("lead-1-t1")
	w.due()
	w.sent("lead-1-t2")
	w.wantEnded("welcome", "finished")
	w.wantStep("keep-warm", "month")
	w.due()
	w.wantStep("keep-warm", "note")
	w.sent("lead-1-t3")
	w.wantStep("keep-warm", "month")
	w.pass(time.Minute)
	w.turn(func(t *journey.Turn) { t.SalesTold(leadv1.Stage_STAGE_RECYCLED, true) })
	w.wantStep("recycle", "pause")
	w.wantEnded("keep-warm", "exit_condition")
}

func TestALeadThatNoProgramWantsIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	if want := w.now.Add(720 * time.Hour); !w.wake.Equal(want) {
		t.Fatalf("wakes at %v, want the review at %v", w.wake, want)
	}
	w.due()
	if w.last.Reason != journey.Reviewed || !w.wake.After(w.now) {
		t.Errorf("reason %s, wakes at %v", w.last.Reason, w.wake)
	}
}

func TestOnlyOneTouchIsOnItsWayAndPriorityGoesFirst(t *testing.T) {
	t.Parallel()
	urgent := `name: urgent
priority: 90
enroll: {when: stage == NURTURING}
steps:
  - id: first
    email: {template: t, subject: First}
`
	w := newWorld(t, welcome, urgent)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	if got := w.planned(); len(got) != 1 || w.in("urgent").TouchId != got[0] {
		t.Fatalf("planned %v, urgent has %q", got, w.in("urgent").TouchId)
	}
	w.outcome("lead-1-t1", campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED, w.now.Add(time.Hour))
	if got := w.planned(); len(got) != 2 || w.in("welcome").TouchId != got[1] {
		t.Fatalf("planned %v", got)
	}
	w.outcome("lead-1-t2", campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED, w.now.Add(time.Hour))
	w.due()
	if got := w.planned(); len(got) != 3 || got[2] != "lead-1-t1" {
		t.Fatalf("planned %v, want the urgent one again", got)
	}
	w.sent("lead-1-t1")
	if got := w.planned(); len(got) != 4 || got[3] != "lead-1-t2" {
		t.Fatalf("planned %v, want the other one then", got)
	}
}

func TestASecondOutcomeChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.sent("lead-1-t1")
	before := proto.CloneOf(w.state)
	w.outcome("lead-1-t1", campaignv1.TouchStatus_TOUCH_STATUS_FAILED, time.Time{})
	if !w.last.Same || w.last.Reason != journey.AlreadySettled || !proto.Equal(before, w.state) {
		t.Errorf("change %+v", w.last)
	}
	w.outcome("never-heard-of", campaignv1.TouchStatus_TOUCH_STATUS_SENT, time.Time{})
	if !w.last.Same || w.last.Reason != journey.UnknownTouch {
		t.Errorf("change %+v", w.last)
	}
}

func TestATouchThatIsPutOffTwiceGivesBothClaimsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.outcome("lead-1-t1", campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED, w.now.Add(time.Hour))
	for _, told := range []struct{ claim, want uint64 }{{7, 7}, {0, 7}, {9, 9}, {7, 9}} {
		before := w.state.Touches[0].ReturnedClaim
		w.turn(func(turn *journey.Turn) {
			turn.Settled(&campaignv1.Outcome{TouchId: "lead-1-t1", Status: campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED, Claim: told.claim})
		})
		if got := w.state.Touches[0].ReturnedClaim; got != told.want || w.last.Same != (before == got) {
			t.Errorf("claim %d told: %d is given back, want %d; change %+v", told.claim, got, told.want, w.last)
		}
	}
}

func TestAPlannedTouchThatNobodyAnsweredIsPlannedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.due()
	if got := w.planned(); len(got) != 2 || got[0] != got[1] {
		t.Errorf("planned %v, want the same touch twice", got)
	}
}

func TestAnAmbiguousTouchIsSettledByAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.outcome("lead-1-t1", campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS, time.Time{})
	w.wantStep("welcome", "clicked")
	if len(w.state.Sends) != 1 {
		t.Fatalf("sends %v: what may have gone out counts", w.state.Sends)
	}
	w.pass(time.Hour)
	w.turn(func(turn *journey.Turn) {
		if err := turn.Resolve("lead-1-t1", campaignv1.TouchStatus_TOUCH_STATUS_FAILED); err != nil {
			t.Error(err)
		}
	})
	if len(w.state.Sends) != 0 || w.state.Touches[0].Status != campaignv1.TouchStatus_TOUCH_STATUS_FAILED {
		t.Errorf("state %v", w.state)
	}
	turn := journey.Begin(w.book, w.state, lead, w.now)
	if err := turn.Resolve("lead-1-t1", campaignv1.TouchStatus_TOUCH_STATUS_SENT); !errors.Is(err, journey.ErrNotAmbiguous) {
		t.Errorf("error %v", err)
	}
	if err := turn.Resolve("x", campaignv1.TouchStatus_TOUCH_STATUS_SENT); !errors.Is(err, journey.ErrUnknownTouch) {
		t.Errorf("error %v", err)
	}
}

func TestCommandsKeepTheRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome, recycle)
	w.captured()
	try := func(want error, act func(*journey.Turn) error) {
		t.Helper()
		w.turn(func(turn *journey.Turn) {
			if err := act(turn); !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
		})
	}
	try(journey.ErrUnknownProgram, func(t *journey.Turn) error { return t.Enroll("nope") })
	try(journey.ErrNotEnrolled, func(t *journey.Turn) error { return t.Exit("welcome", "") })
	try(nil, func(t *journey.Turn) error { return t.Enroll("welcome") })
	w.wantStep("welcome", "hello")
	try(journey.ErrForbidden, func(t *journey.Turn) error { return t.Enroll("welcome") })
	try(nil, func(t *journey.Turn) error { return t.Exit("welcome", "asked_to") })
	w.wantEnded("welcome", "asked_to")
	try(journey.ErrForbidden, func(t *journey.Turn) error { return t.Enroll("welcome") })
	try(nil, func(t *journey.Turn) error { return t.Enroll("recycle") })
	w.pass(time.Minute)
	w.turn(func(t *journey.Turn) { t.SalesTold(leadv1.Stage_STAGE_ACCEPTED, false) })
	try(journey.ErrForbidden, func(t *journey.Turn) error { return t.Enroll("recycle") })
}

func TestAnEnrollmentFinishesOnTheVersionItBegan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	old := w.book
	next := bookOf(t, "name: welcome\nenroll: {when: stage == NURTURING}\nsteps:\n  - id: other\n    wait: {for: 1h}\n")
	w.book = &program.Book{Current: next.Current, Review: old.Review, Version: func(hash string) *program.Program {
		if p := next.Version(hash); p != nil {
			return p
		}
		return old.Version(hash)
	}}
	w.sent("lead-1-t1")
	w.wantStep("welcome", "clicked")
}
