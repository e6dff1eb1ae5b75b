package desk

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

// Due does everything whose time has come: deliveries to retry, a held lead to
// look at, a rep's time that ran out.
func (d Desk) Due(s *handoffv1.State, lead string, view *handoffv1.RoutingView, now time.Time) Decision {
	t := d.sit(s, now)
	t.lead = lead
	why := NotDue
	if t.take(view.GetHandovers()) {
		why = TiesTold
	}
	if t.retryDue() {
		why = DeliveryDue
	}
	switch h := t.stay(); {
	case h.GetStatus() == held && (due(h.GetLookAt(), now) || waited(h) && !t.isMerging()):
		why = t.look(view)
	case h.GetStatus() == assigned && due(h.GetSlaDueAt(), now):
		why = t.overdue(view)
	}
	if why == NotDue {
		return same(NotDue)
	}
	return t.decide(why)
}

// overdue minds the rep's time to answer: remind first, then move the lead to
// another rep, and when nobody is left, let it stand where people see it.
func (t *sitting) overdue(view *handoffv1.RoutingView) Reason {
	h := t.stay()
	switch t.policy.stepOf(h) {
	case stepRemind:
		t.remind()
		return Reminded
	case stepReassign:
		if rep := view.GetRep(); rep != "" && rep != h.GetRep() {
			t.assign(rep, Reassigned)
			return Reassigned
		}
		h.Reason, h.SlaDueAt = string(NoOtherRep), timestamppb.New(t.remindAt())
		return NoOtherRep
	case stepNone:
	}
	h.Reason, h.SlaDueAt = string(SLAExhausted), nil
	return SLAExhausted
}

func (t *sitting) remind() {
	h := t.stay()
	h.Reminders++
	h.Reason, h.SlaDueAt = string(Reminded), timestamppb.New(t.remindAt())
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_Reminded{Reminded: &handoffv1.Reminded{Rep: h.GetRep(), Reminder: h.GetReminders()}}
	})
	t.deliver(TypeReminded)
}

type step int

const (
	stepNone step = iota
	stepRemind
	stepReassign
)

// stepOf is what the end of the rep's time means for an assigned lead.
func (p Policy) stepOf(h *handoffv1.Handoff) step {
	switch {
	case h.GetReminders() < p.SLA.Reminders:
		return stepRemind
	case h.GetReassignments() < p.SLA.Reassignments:
		return stepReassign
	default:
		return stepNone
	}
}

// Want is what a due wake-up needs to know from the router.
type Want struct {
	// Rep is true when the desk will assign if it is given a rep.
	Rep bool
	// Not is the rep it must not be; empty for any.
	Not string
}

// Wants tells, before a wake-up is folded, whether it needs a rep: for a held
// lead, or for one whose rep ran out of time.
func (p Policy) Wants(h *handoffv1.Handoff, now time.Time) Want {
	switch {
	case h.GetStatus() == held && (due(h.GetLookAt(), now) || waited(h)):
		return Want{Rep: true}
	case h.GetStatus() == assigned && due(h.GetSlaDueAt(), now) && p.stepOf(h) == stepReassign:
		return Want{Rep: true, Not: h.GetRep()}
	default:
		return Want{}
	}
}

// waited reports whether a held lead has waited for nothing but the stays of
// leads that are the same person.
func waited(h *handoffv1.Handoff) bool { return h.GetReason() == string(MergeUnderWay) }
