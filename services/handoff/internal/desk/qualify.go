package desk

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/ties"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// Short names of the statuses, for readable rules.
const (
	none         = handoffv1.HandoffStatus_HANDOFF_STATUS_UNSPECIFIED
	held         = handoffv1.HandoffStatus_HANDOFF_STATUS_HELD
	assigned     = handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED
	accepted     = handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED
	confirmed    = handoffv1.HandoffStatus_HANDOFF_STATUS_SALES_QUALIFIED
	rejected     = handoffv1.HandoffStatus_HANDOFF_STATUS_REJECTED
	recycled     = handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED
	disqualified = handoffv1.HandoffStatus_HANDOFF_STATUS_DISQUALIFIED
	won          = handoffv1.HandoffStatus_HANDOFF_STATUS_WON
	lost         = handoffv1.HandoffStatus_HANDOFF_STATUS_LOST
	withdrawn    = handoffv1.HandoffStatus_HANDOFF_STATUS_WITHDRAWN
	erased       = handoffv1.HandoffStatus_HANDOFF_STATUS_ERASED
	merged       = handoffv1.HandoffStatus_HANDOFF_STATUS_MERGED
)

// maxHistory bounds the earlier stays a state keeps.
const maxHistory = 8

// Qualify opens a stay for a lead that scoring found ready: assigned at once
// when the gate and the router let it, held with the reason otherwise.
func (d Desk) Qualify(s *handoffv1.State, q *scoringv1.Qualified, view *handoffv1.RoutingView, now time.Time) Decision {
	if why := barred(s.GetHandoff()); why != Clear {
		return same(why)
	}
	t := d.sit(s, now)
	t.open(q)
	return t.decide(t.look(view))
}

// barred says why a lead with this stay gets no new one; Clear when it may.
func barred(h *handoffv1.Handoff) Reason {
	switch h.GetStatus() {
	case merged:
		return Merged
	case held, assigned, accepted, confirmed:
		return WithSales
	case won:
		return Customer
	case disqualified:
		return NeverAgain
	case erased:
		return Erased
	case none, rejected, recycled, lost, withdrawn:
	}
	return Clear
}

// Expect remembers that a lead was found ready that is one of its own again, of
// which ingest's own record is still to come.
func (d Desk) Expect(s *handoffv1.State, q *scoringv1.Qualified, now time.Time) Decision {
	t := d.sit(s, now)
	t.state.Ahead = q
	return t.decide(MergeUnderWay)
}

// catchUp opens the stay of a lead that was found ready before it was known here
// that it is one of its own again. Gate and router are asked in a moment.
func (t *sitting) catchUp() {
	q := t.state.GetAhead()
	t.state.Ahead = nil
	if q == nil || barred(t.stay()) != Clear {
		return
	}
	t.open(q)
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_Held{Held: &handoffv1.Held{Reason: string(MergeUnderWay)}}
	})
	t.settle(held, MergeUnderWay)
	t.stay().HeldAt, t.stay().LookAt = t.stamp(), t.stamp()
}

// open begins a new stay and moves the one before into the history.
func (t *sitting) open(q *scoringv1.Qualified) {
	ties.Expect(&t.state.Ties, q.GetMergedFrom())
	round := t.stay().GetRound() + 1
	if t.stay() != nil {
		t.state.History = append(t.state.History, t.stay())
		t.forget()
	}
	t.lead = q.GetScore().GetLeadId()
	t.state.Handoff = &handoffv1.Handoff{LeadId: t.lead, Round: round, QualifiedAt: t.stamp(), Why: q.GetWhy()}
}

// forget drops the oldest settled stay when there are too many: a delivery
// under way is never forgotten.
func (t *sitting) forget() {
	settled := func(h *handoffv1.Handoff) bool { return !slices.ContainsFunc(h.GetDeliveries(), unsettled) }
	if len(t.state.GetHistory()) <= maxHistory {
		return
	}
	if i := slices.IndexFunc(t.state.GetHistory(), settled); i >= 0 {
		t.state.History = slices.Delete(t.state.History, i, i+1)
	}
}

// look asks the gate about a lead that is not assigned yet.
func (t *sitting) look(view *handoffv1.RoutingView) Reason {
	why := t.policy.gate(view)
	if t.isMerging() {
		why = MergeUnderWay
	}
	if why == Clear {
		t.assign(view.GetRep(), RoundRobin)
		return Assigned
	}
	h := t.stay()
	if h.GetStatus() != held || h.GetReason() != string(why) {
		t.emit(func(e *handoffv1.Event) {
			e.Fact = &handoffv1.Event_Held{Held: &handoffv1.Held{Reason: string(why)}}
		})
		h.Looks = 0
	}
	t.settle(held, why)
	h.Looks++
	h.HeldAt = t.stamp()
	h.LookAt = timestamppb.New(t.now.Add(t.policy.pauseAfter(h.GetLooks())))
	return why
}

// assign gives the lead to a rep and intends to tell the CRM.
func (t *sitting) assign(rep string, by Reason) {
	h, kind := t.stay(), TypeAssigned
	previous := h.GetRep()
	if by == Reassigned {
		kind = TypeReassigned
		h.Reassignments++
	}
	t.settle(assigned, by)
	h.Rep, h.RoutedBy, h.AssignedAt, h.Reminders = rep, string(by), t.stamp(), 0
	if t.policy.SLA.RespondWithin > 0 {
		h.SlaDueAt = timestamppb.New(t.now.Add(t.policy.SLA.RespondWithin))
	}
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_Assigned{Assigned: &handoffv1.Assigned{
			Rep: rep, RoutedBy: string(by), PreviousRep: previous, Round: h.GetRound(),
		}}
	})
	t.deliver(kind)
}

// Offer looks at a held lead again because something changed that may help: the
// lead, or a rep's capacity. Without a view it only asks to be woken at once.
func (d Desk) Offer(s *handoffv1.State, view *handoffv1.RoutingView, now time.Time) Decision {
	h := s.GetHandoff()
	if h.GetStatus() != held {
		return same(NotHeld)
	}
	t := d.sit(s, now)
	if view == nil {
		return t.lookSoon()
	}
	if string(d.policy.gate(view)) == h.GetReason() || t.isMerging() {
		return same(StillHeld)
	}
	return t.decide(t.look(view))
}

// lookSoon is for a change that came without a view, because the reader that
// adds it did not know yet that the lead is held.
func (t *sitting) lookSoon() Decision {
	if due(t.stay().GetLookAt(), t.now) {
		return same(LookAgain)
	}
	t.stay().LookAt = t.stamp()
	return t.decide(LookAgain)
}

// Leave withdraws a held lead that left QUALIFIED before sales had it, and forgets
// that one was found ready whose unmerge is still to be read of.
func (d Desk) Leave(s *handoffv1.State, change *scoringv1.StageChanged, now time.Time) Decision {
	if !LeavesSales(change.GetTo()) || s.GetHandoff().GetStatus() != held && s.GetAhead() == nil {
		return same(NotHeld)
	}
	t := d.sit(s, now)
	t.state.Ahead = nil
	if t.stay().GetStatus() != held {
		return t.decide(Withdrawn)
	}
	t.settle(withdrawn, Withdrawn)
	t.stay().ClosedAt = t.stamp()
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_Withdrawn{Withdrawn: &handoffv1.Withdrawn{Reason: change.GetReason()}}
	})
	return t.decide(Withdrawn)
}

// LeavesSales reports whether a stage means that a qualified lead is not to be
// handed over any more.
func LeavesSales(s leadv1.Stage) bool {
	switch s {
	case leadv1.Stage_STAGE_NURTURING, leadv1.Stage_STAGE_INACTIVE, leadv1.Stage_STAGE_DISQUALIFIED,
		leadv1.Stage_STAGE_SUPPRESSED, leadv1.Stage_STAGE_ERASED:
		return true
	default:
		return false
	}
}
