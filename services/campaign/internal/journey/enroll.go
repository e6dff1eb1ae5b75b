package journey

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

// Errors of commands.
var (
	// ErrUnknownProgram: no such program can be entered now.
	ErrUnknownProgram = errors.New("unknown program")
	// ErrForbidden: the program's rules do not allow it; the text names the reason.
	ErrForbidden = errors.New("not allowed")
	// ErrNotEnrolled: the lead is not in the program.
	ErrNotEnrolled = errors.New("not enrolled")
	// ErrUnknownTouch: the lead has no such touch.
	ErrUnknownTouch = errors.New("unknown touch")
	// ErrNotAmbiguous: only a touch with an unknown outcome can be resolved.
	ErrNotAmbiguous = errors.New("touch is not ambiguous")
)

// enter enrolls the lead where it may enter now; it reports whether anything began.
func (t *Turn) enter() bool {
	began := false
	for _, p := range t.book.Current {
		if t.entered[p.Name] || p.Enroll.Recycled && !t.recycled || p.Enroll.Asked && !t.asked {
			continue
		}
		if !t.may(p) || t.forbids(p) != "" || !t.holds(p.Enroll.Who) || !t.holds(p.Enroll.When) {
			continue
		}
		why := whyCondition
		if p.Enroll.Recycled {
			why = whyRecycled
		}
		t.begin(p, why)
		began = true
	}
	return began
}

// may reports whether a program may do anything with the lead now: one that asks
// for a confirmation always, the others while the lead is marketing's.
func (t *Turn) may(p *program.Program) bool {
	why, ours := t.ours()
	return ours || p.Rules.Transactional && why != endMerged
}

// transactional reports whether an enrollment only asks for a confirmation.
func (t *Turn) transactional(e *campaignv1.Enrollment) bool {
	p := t.book.Version(e.GetVersion())
	return p != nil && p.Rules.Transactional
}

// forbids names what keeps the lead from entering a program; empty for nothing.
func (t *Turn) forbids(p *program.Program) string {
	last := t.lastStay(p.Name)
	if last == nil {
		last = t.takenStay(p.Name)
	}
	switch {
	case active(last):
		return "already_enrolled"
	case last == nil, p.Enroll.ReEntry.Mode == program.ReEntryAlways:
		return ""
	case p.Enroll.ReEntry.Mode == program.ReEntryAfter:
		if t.now.Before(last.GetEndedAt().AsTime().Add(p.Enroll.ReEntry.After)) {
			return "re_entry_too_early"
		}
		return ""
	default:
		return "re_entry_never"
	}
}

func (t *Turn) lastStay(name string) *campaignv1.Enrollment {
	for i := len(t.s.Enrollments) - 1; i >= 0; i-- {
		if t.s.Enrollments[i].Program == name {
			return t.s.Enrollments[i]
		}
	}
	return nil
}

func (t *Turn) begin(p *program.Program, why string) {
	t.entered[p.Name] = true
	t.s.Enrolled++
	e := &campaignv1.Enrollment{
		Id: fmt.Sprintf("%s-e%d", t.s.LeadId, t.s.Enrolled), Program: p.Name, Version: p.Version, Why: why,
		Status: campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE, EnrolledAt: timestamppb.New(t.now),
	}
	t.s.Enrollments = append(t.s.Enrollments, e)
	t.emit(&campaignv1.Event{Fact: &campaignv1.Event_Enrolled{Enrolled: &campaignv1.Enrolled{Enrollment: cloned(e)}}})
	t.goTo(e, p, p.Steps[0].ID, "enrolled")
}

// Enroll puts the lead into a program by hand: its "when" is not asked, its
// other rules are. The error is ErrUnknownProgram or ErrForbidden.
func (t *Turn) Enroll(name string) error {
	p := t.book.Program(name)
	if p == nil {
		return fmt.Errorf("%w: %q", ErrUnknownProgram, name)
	}
	if why, ours := t.ours(); !ours {
		return fmt.Errorf("%w: %s", ErrForbidden, why)
	}
	if why := t.forbids(p); why != "" {
		return fmt.Errorf("%w: %s", ErrForbidden, why)
	}
	if !t.holds(p.Enroll.Who) {
		return fmt.Errorf("%w: who_does_not_hold", ErrForbidden)
	}
	t.begin(p, whyByHand)
	t.run()
	return nil
}

// Exit takes the lead out of a program. The error is ErrNotEnrolled.
func (t *Turn) Exit(name, why string) error {
	e := t.lastStay(name)
	if !active(e) {
		return fmt.Errorf("%w: %q", ErrNotEnrolled, name)
	}
	if why == "" {
		why = whyByHand
	}
	t.entered[name] = true
	t.end(e, campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_EXITED, why)
	t.run()
	return nil
}

// Stay finds the lead's latest stay in a program; nil when there was none.
func Stay(s *campaignv1.State, name string) *campaignv1.Enrollment {
	return (&Turn{s: s}).lastStay(name)
}

// trim keeps the state small. The latest stay in each program is kept for ever:
// re-entry is decided by it.
func (t *Turn) trim() {
	for i := 0; len(t.s.Enrollments) > keepEnrollments && i < len(t.s.Enrollments); {
		e := t.s.Enrollments[i]
		if active(e) || t.lastStay(e.Program) == e {
			i++
			continue
		}
		t.s.Enrollments = append(t.s.Enrollments[:i:i], t.s.Enrollments[i+1:]...)
	}
	for i := 0; len(t.s.Touches) > keepTouches && i < len(t.s.Touches); {
		if touch := t.s.Touches[i]; open(touch) || touch.Status == campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS {
			i++
			continue
		}
		t.s.Touches = append(t.s.Touches[:i:i], t.s.Touches[i+1:]...)
	}
	first := 0
	for first < len(t.s.Sends) && (len(t.s.Sends)-first > keepSends || t.old(t.s.Sends[first].AsTime())) {
		first++
	}
	t.s.Sends = t.s.Sends[first:]
}

func (t *Turn) old(at time.Time) bool { return at.Before(t.now.Add(-sendMemory)) }

func cloned[M proto.Message](m M) M { return proto.CloneOf(m) }
