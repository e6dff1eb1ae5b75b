package journey

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/expr"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

// run lets everything happen that can happen now: enrollments end, go on and
// begin until none moves, then the next touch is planned. Each program is
// entered at most once a turn and each path without a wait is finite, so this ends.
func (t *Turn) run() {
	if why, ours := t.ours(); !ours {
		t.leaveAll(why)
	} else {
		t.resume()
	}
	for {
		for _, e := range t.active() {
			t.advance(e)
		}
		if !t.enter() {
			break
		}
	}
	t.plan()
}

func (t *Turn) leaveAll(why string) {
	for _, e := range t.active() {
		if why == endMerged || !t.transactional(e) {
			t.end(e, campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_EXITED, why)
		}
	}
}

// advance moves one enrollment as far as it gets now.
func (t *Turn) advance(e *campaignv1.Enrollment) {
	p := t.book.Version(e.Version)
	if p == nil {
		t.end(e, campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_EXITED, endVersion)
		return
	}
	for range maxMoves {
		if t.leaves(e, p) {
			return
		}
		step, ok := p.Step(e.Step)
		if !ok {
			t.end(e, campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_COMPLETED, endFinished)
			return
		}
		next, why, moves := t.try(e, step)
		if !active(e) || !moves {
			return
		}
		t.goTo(e, p, next, why)
	}
}

// leaves ends an enrollment whose goal is met or whose exit condition holds.
func (t *Turn) leaves(e *campaignv1.Enrollment, p *program.Program) bool {
	if !active(e) {
		return true
	}
	if p.Goal != nil && t.holds(p.Goal) {
		t.reachGoal(e)
		return true
	}
	if p.Exit != nil && t.holds(p.Exit) {
		t.end(e, campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_EXITED, endExitWhen)
		return true
	}
	return false
}

func (t *Turn) reachGoal(e *campaignv1.Enrollment) {
	e.GoalMet = true
	t.emit(&campaignv1.Event{Fact: &campaignv1.Event_GoalMet{GoalMet: &campaignv1.GoalMet{EnrollmentId: e.Id, Program: e.Program}}})
	t.end(e, campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_COMPLETED, endGoal)
}

// try asks one step whether the enrollment may go on: where to and why.
func (t *Turn) try(e *campaignv1.Enrollment, s program.Step) (next, why string, moves bool) {
	switch s.Kind {
	case program.Email:
		return t.tryEmail(e, s)
	case program.Wait:
		return s.Next, stepWaited, t.isDue(e)
	case program.Await:
		return t.tryAwait(e, s)
	case program.Branch:
		if t.holds(s.When) {
			return s.Then, stepYes, true
		}
		return s.Else, stepNo, true
	case program.Exit:
		t.end(e, campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_EXITED, s.Reason)
	case program.Goal:
		t.reachGoal(e)
	}
	return "", "", false
}

func (t *Turn) tryAwait(e *campaignv1.Enrollment, s program.Step) (next, why string, moves bool) {
	switch {
	case t.happened(e, s):
		return s.Then, "event:" + s.Event, true
	case t.isDue(e):
		return s.Else, stepTimeout, true
	default:
		return "", "", false
	}
}

// happened reports whether the awaited thing is the activity of this turn, or
// has happened to the latest touch while its outcome was still on the way.
func (t *Turn) happened(e *campaignv1.Enrollment, s program.Step) bool {
	if a := t.activity; a.GetType() == s.Event && !t.arrived[e.Id] && t.isOwn(e, a.GetProperties()["touch_id"]) {
		return s.When == nil || t.holds(s.When)
	}
	if s.When != nil {
		return false
	}
	return hadHappened(t.latestTouch(e), s.Event)
}

// isOwn reports whether an activity concerns this enrollment: what is about a
// touch concerns only the enrollment that sent it.
func (t *Turn) isOwn(e *campaignv1.Enrollment, touchID string) bool {
	if touchID == "" {
		return true
	}
	return t.touch(touchID).GetEnrollmentId() == e.Id
}

func (t *Turn) isDue(e *campaignv1.Enrollment) bool {
	return e.DueAt != nil && !t.now.Before(e.DueAt.AsTime())
}

// goTo makes a step the current one.
func (t *Turn) goTo(e *campaignv1.Enrollment, p *program.Program, id, why string) {
	t.arrived[e.Id] = true
	e.Step, e.StepAt = id, timestamppb.New(t.now)
	e.DueAt, e.DeferSince, e.TouchId = nil, nil, ""
	if id == program.End {
		return
	}
	step, _ := p.Step(id)
	if d := step.For + step.Timeout; d > 0 {
		e.DueAt = timestamppb.New(t.now.Add(d))
	}
	t.emit(&campaignv1.Event{Fact: &campaignv1.Event_StepEntered{StepEntered: &campaignv1.StepEntered{
		EnrollmentId: e.Id, Program: e.Program, Step: id, Reason: why,
	}}})
}

// end finishes an enrollment. A touch that only waited to be tried again is
// settled with it; one that the sender may be working on settles itself.
func (t *Turn) end(e *campaignv1.Enrollment, status campaignv1.EnrollmentStatus, why string) {
	if touch := t.touch(e.TouchId); touch.GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED {
		t.settle(touch, campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED, "enrollment_ended")
	}
	e.Status, e.EndedWhy, e.EndedAt = status, why, timestamppb.New(t.now)
	if why != endMerged { // that one may go on from where it is
		e.Step, e.TouchId = "", ""
		e.DueAt, e.StepAt, e.DeferSince = nil, nil, nil
	}
	t.emit(&campaignv1.Event{Fact: &campaignv1.Event_Exited{Exited: &campaignv1.Exited{Enrollment: cloned(e)}}})
}

// active lists the running enrollments, highest priority first.
func (t *Turn) active() []*campaignv1.Enrollment {
	var list []*campaignv1.Enrollment
	for _, e := range t.s.Enrollments {
		if active(e) {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b *campaignv1.Enrollment) int { return cmp.Compare(t.priority(b), t.priority(a)) })
	return list
}

func (t *Turn) priority(e *campaignv1.Enrollment) int {
	if p := t.book.Version(e.Version); p != nil {
		return p.Priority
	}
	return 0
}

func active(e *campaignv1.Enrollment) bool {
	return e.GetStatus() == campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE
}

// holds asks a condition. One that cannot be answered does not hold.
func (t *Turn) holds(condition *expr.Program) bool {
	if condition == nil {
		return true
	}
	ok, err := condition.Bool(t.vars())
	return err == nil && ok
}

func (t *Turn) vars() map[string]any {
	activity := t.activity
	if activity == nil {
		activity = noActivity()
	}
	return map[string]any{
		"lead": t.s.View.Lead, "score": t.s.View.Score, "stage": t.s.Stage,
		"activity": activity, "programs": t.programs(), "now": t.now,
	}
}

// programs names the programs the lead is in, sorted.
func (t *Turn) programs() []string {
	var names []string
	for _, e := range t.s.Enrollments {
		if active(e) && !t.transactional(e) && !slices.Contains(names, e.Program) {
			names = append(names, e.Program)
		}
	}
	slices.Sort(names)
	return names
}

func lower(s string) string { return strings.ToLower(s) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
