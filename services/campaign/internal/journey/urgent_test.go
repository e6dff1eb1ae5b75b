package journey_test

import (
	"slices"
	"testing"
	"time"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
)

// confirm comes last wherever priority decides.
const confirm = `name: confirm
priority: 1
enroll: {on: consent_asked, re_entry: always}
steps:
  - id: please
    email: {template: t, subject: Please confirm}
`

const chatty = `name: chatty
priority: 90
enroll: {when: stage == NURTURING}
steps:
  - id: one
    email: {template: t, subject: One}
  - id: two
    email: {template: t, subject: Two}
`

// asks lets the lead give a yes that waits for a confirmation, as it fills in a form.
func (w *world) asks() {
	w.t.Helper()
	w.turn(func(t *journey.Turn) {
		t.ConsentAsked()
		t.LeadTold(&leadv1.Facts{HasEmail: true}, []*leadv1.Activity{{Type: "form_submitted"}, {Type: "page_viewed"}})
	})
}

// wantPlans says what the sender was told in the last turn: step, and "!" if urgent.
func (w *world) wantPlans(want ...string) {
	w.t.Helper()
	var got []string
	urgent := false
	for _, e := range w.last.Events {
		p := e.GetTouchPlanned()
		if p == nil {
			continue
		}
		plan := p.GetTouch().GetId() + " " + p.GetTouch().GetStep()
		if p.GetUrgent() {
			plan, urgent = plan+"!", true
		}
		got = append(got, plan)
	}
	if !slices.Equal(got, want) || w.last.Urgent != urgent {
		w.t.Errorf("planned %q, urgent %v, want %q", got, w.last.Urgent, want)
	}
}

func TestTheMailThatALeadAskedForIsUrgentAndNoOtherIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome, confirm)
	w.asks()
	w.wantPlans("lead-1-t1 please!")
	w.sent("lead-1-t1")
	w.wantPlans()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.wantPlans("lead-1-t2 hello")
}

func TestWhatStandsBeforeAnUrgentMailGoesAheadWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chatty, confirm)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	w.wantPlans("lead-1-t1 one")
	w.asks()
	w.wantPlans("lead-1-t1 one!")
	w.does("page_viewed")
	w.wantPlans()
	w.sent("lead-1-t1")
	w.wantPlans("lead-1-t2 please!")
	w.sent("lead-1-t2")
	w.wantPlans("lead-1-t3 two")
}

func TestAnUrgentMailThatWasPutOffIsUrgentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chatty, confirm)
	w.asks()
	w.outcome("lead-1-t1", campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED, w.now.Add(time.Minute))
	w.wantPlans()
	w.due()
	w.wantPlans("lead-1-t1 please!")
	w.pass(journey.Watchdog)
	w.turn(func(t *journey.Turn) { t.Due() }) // nobody told what became of it
	w.wantPlans("lead-1-t1 please!")
}
