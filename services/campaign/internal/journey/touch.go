package journey

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

// channelEmail is the only channel so far.
const channelEmail = "email"

// minDefer keeps a gate that asks for the past from going round.
const minDefer = time.Second

// tryEmail goes on when the touch of this step is settled.
func (t *Turn) tryEmail(e *campaignv1.Enrollment, s program.Step) (next, why string, moves bool) {
	touch := t.touch(e.TouchId)
	if touch == nil || open(touch) {
		return "", "", false
	}
	return s.Next, settledWhy(touch), true
}

func settledWhy(touch *campaignv1.Touch) string {
	switch touch.Status {
	case campaignv1.TouchStatus_TOUCH_STATUS_SENT:
		return "sent"
	case campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS:
		return "ambiguous"
	case campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED:
		return "skipped:" + touch.Reason
	default:
		return "failed:" + touch.Reason
	}
}

// plan intends the next touch. A lead has at most one touch on its way at any
// time, so that the frequency cap sees every send. What the lead asked for goes
// first, then priority decides.
func (t *Turn) plan() {
	if t.onItsWay() {
		t.hurry()
		return
	}
	writers := t.active()
	slices.SortStableFunc(writers, func(a, b *campaignv1.Enrollment) int { return rank(t.transactional(a)) - rank(t.transactional(b)) })
	for _, e := range writers {
		step, writes := t.writes(e)
		if !writes || e.TouchId != "" && !t.isDue(e) {
			continue
		}
		t.planTouch(e, step)
		return
	}
}

func rank(transactional bool) int {
	if transactional {
		return 0
	}
	return 1
}

// writes reports whether an enrollment stands at a mail, and which.
func (t *Turn) writes(e *campaignv1.Enrollment) (program.Step, bool) {
	step, _ := t.book.Version(e.Version).Step(e.Step)
	return step, step.Kind == program.Email
}

// hurry lets the touch on its way go ahead of the sender's backlog when somebody
// asked for a mail that has to wait for it: the mails of a lead keep their order.
func (t *Turn) hurry() {
	if !t.asked || t.hurried || !t.isWaitedFor() {
		return
	}
	t.hurried = true
	for _, touch := range slices.Backward(t.s.Touches) {
		if touch.Status == campaignv1.TouchStatus_TOUCH_STATUS_PLANNED {
			t.intend(touch, true)
			return
		}
	}
}

// isWaitedFor reports whether a person waits for a mail that is not planned yet.
func (t *Turn) isWaitedFor() bool {
	return slices.ContainsFunc(t.active(), func(e *campaignv1.Enrollment) bool {
		_, writes := t.writes(e)
		return writes && e.TouchId == "" && t.transactional(e)
	})
}

// intend tells the sender of a planned touch.
func (t *Turn) intend(touch *campaignv1.Touch, urgent bool) {
	t.urgent = t.urgent || urgent
	t.emit(&campaignv1.Event{Fact: &campaignv1.Event_TouchPlanned{TouchPlanned: &campaignv1.TouchPlanned{Touch: cloned(touch), Urgent: urgent}}})
}

func (t *Turn) onItsWay() bool {
	for _, touch := range t.s.Touches {
		if touch.Status != campaignv1.TouchStatus_TOUCH_STATUS_PLANNED {
			continue
		}
		if e := t.enrollment(touch.EnrollmentId); active(e) || t.now.Before(touch.PlannedAt.AsTime().Add(Watchdog)) {
			return true
		}
	}
	return false
}

func (t *Turn) planTouch(e *campaignv1.Enrollment, s program.Step) {
	touch := t.touch(e.TouchId)
	if touch == nil {
		t.s.Touched++
		touch = &campaignv1.Touch{
			Id: fmt.Sprintf("%s-t%d", t.s.LeadId, t.s.Touched), EnrollmentId: e.Id, Program: e.Program, Version: e.Version,
			Step: s.ID, Template: s.Template, Channel: channelEmail, PlannedAt: timestamppb.New(t.now),
		}
		t.s.Touches = append(t.s.Touches, touch)
		e.TouchId = touch.Id
	}
	touch.Status, touch.Reason = campaignv1.TouchStatus_TOUCH_STATUS_PLANNED, "planned"
	e.DueAt = timestamppb.New(t.now.Add(Watchdog))
	t.intend(touch, t.transactional(e))
}

// replan gives touches that never got an outcome to the sender once more.
func (t *Turn) replan() {
	for _, e := range t.active() {
		touch := t.touch(e.TouchId)
		if touch.GetStatus() != campaignv1.TouchStatus_TOUCH_STATUS_PLANNED || !t.isDue(e) {
			continue
		}
		e.DueAt = timestamppb.New(t.now.Add(Watchdog))
		t.intend(touch, t.transactional(e))
	}
}

// Settled takes the outcome of an attempt.
func (t *Turn) Settled(o *campaignv1.Outcome) {
	touch := t.touch(o.GetTouchId())
	switch {
	case touch == nil:
		t.reason = UnknownTouch
		return
	case touch.Status == campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS && isKnown(o.Status):
		t.correct(touch, o)
		return
	case !open(touch):
		t.reason = AlreadySettled
		return
	case touch.Status == campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED && o.Status == campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED:
		t.reason = AlreadySettled
		t.giveBack(touch, o)
		return
	}
	e := t.enrollment(touch.EnrollmentId)
	if o.Status == campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED {
		t.giveBack(touch, o)
		t.hold(e, touch, o)
	} else {
		t.close(touch, o)
		t.believe(touch, "")
	}
	t.run()
}

// giveBack notes that the claim of an attempt stands against nobody any more.
func (t *Turn) giveBack(touch *campaignv1.Touch, o *campaignv1.Outcome) {
	if o.GetClaim() > touch.GetReturnedClaim() {
		touch.ReturnedClaim = o.GetClaim()
		t.change(AlreadySettled)
	}
}

// correct settles a touch, ambiguous until now, by what is known after all.
func (t *Turn) correct(touch *campaignv1.Touch, o *campaignv1.Outcome) {
	ended := touch.Status == campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS
	switch {
	case o.Status == campaignv1.TouchStatus_TOUCH_STATUS_FAILED:
		t.forgetSend(touch.SettledAt.AsTime())
	case !counts(touch.Status):
		t.s.Sends = append(t.s.Sends, timestamppb.New(t.now))
	}
	t.settle(touch, o.Status, o.Reason)
	if ended {
		t.emit(&campaignv1.Event{Fact: &campaignv1.Event_AmbiguityEnded{AmbiguityEnded: &campaignv1.AmbiguityEnded{
			TouchId: touch.Id, Status: o.Status, Reason: o.Reason,
		}}})
	}
}

// isKnown reports whether a status says what happened to the mail.
func isKnown(s campaignv1.TouchStatus) bool {
	return s == campaignv1.TouchStatus_TOUCH_STATUS_SENT || s == campaignv1.TouchStatus_TOUCH_STATUS_FAILED
}

func (t *Turn) hold(e *campaignv1.Enrollment, touch *campaignv1.Touch, o *campaignv1.Outcome) {
	if !active(e) {
		t.settle(touch, campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED, "enrollment_ended")
		return
	}
	t.settle(touch, campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED, o.Reason)
	e.DueAt = timestamppb.New(later(o.GetRetryAt().AsTime(), t.now.Add(minDefer)))
	if e.DeferSince == nil {
		e.DeferSince = timestamppb.New(t.now)
	}
}

// close settles a touch for good. What may have gone out counts for the cap.
func (t *Turn) close(touch *campaignv1.Touch, o *campaignv1.Outcome) {
	if counts(o.Status) {
		t.s.Sends = append(t.s.Sends, timestamppb.New(t.now))
	}
	t.settle(touch, o.Status, o.Reason)
}

func counts(s campaignv1.TouchStatus) bool {
	return s == campaignv1.TouchStatus_TOUCH_STATUS_SENT || s == campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS
}

func (t *Turn) settle(touch *campaignv1.Touch, status campaignv1.TouchStatus, reason string) {
	touch.Status, touch.Reason, touch.SettledAt = status, reason, timestamppb.New(t.now)
	t.emit(&campaignv1.Event{Fact: &campaignv1.Event_TouchSettled{TouchSettled: &campaignv1.TouchSettled{Touch: cloned(touch)}}})
}

// Resolve settles an ambiguous touch by what a person found out. The error is
// ErrUnknownTouch or ErrNotAmbiguous. The journey went on long ago: only the
// record of the touch changes.
func (t *Turn) Resolve(id string, status campaignv1.TouchStatus) error {
	touch := t.touch(id)
	if touch == nil {
		return fmt.Errorf("%w: %q", ErrUnknownTouch, id)
	}
	if touch.Status != campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS {
		return fmt.Errorf("%w: it is %s", ErrNotAmbiguous, touch.Status)
	}
	t.correct(touch, &campaignv1.Outcome{Status: status, Reason: "resolved"})
	return nil
}

func (t *Turn) forgetSend(at time.Time) {
	for i, sent := range t.s.Sends {
		if sent.AsTime().Equal(at) {
			t.s.Sends = append(t.s.Sends[:i:i], t.s.Sends[i+1:]...)
			return
		}
	}
}

// open reports whether a touch has no final outcome yet.
func open(touch *campaignv1.Touch) bool {
	return touch.GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_PLANNED || touch.GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED
}

func (t *Turn) touch(id string) *campaignv1.Touch {
	if id == "" {
		return nil
	}
	for i := len(t.s.Touches) - 1; i >= 0; i-- {
		if t.s.Touches[i].Id == id {
			return t.s.Touches[i]
		}
	}
	return nil
}

func (t *Turn) latestTouch(e *campaignv1.Enrollment) *campaignv1.Touch {
	for i := len(t.s.Touches) - 1; i >= 0; i-- {
		if t.s.Touches[i].EnrollmentId == e.Id {
			return t.s.Touches[i]
		}
	}
	return nil
}

func (t *Turn) enrollment(id string) *campaignv1.Enrollment {
	for i := len(t.s.Enrollments) - 1; i >= 0; i-- {
		if t.s.Enrollments[i].Id == id {
			return t.s.Enrollments[i]
		}
	}
	return nil
}

func noActivity() *leadv1.Activity { return &leadv1.Activity{} }
