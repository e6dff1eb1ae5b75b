package desk

import (
	"fmt"
	"strings"
	"time"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// TimeCures reports whether a reason to reject is one that more nurturing can
// mend: the lead is recycled. Any other disqualifies it.
func TimeCures(r leadv1.RejectReason) bool {
	switch r {
	case leadv1.RejectReason_REJECT_REASON_NOT_READY, leadv1.RejectReason_REJECT_REASON_NO_BUDGET,
		leadv1.RejectReason_REJECT_REASON_NO_RESPONSE, leadv1.RejectReason_REJECT_REASON_OTHER:
		return true
	default:
		return false
	}
}

// Accept is the rep taking the lead. Accepting twice changes nothing.
func (d Desk) Accept(s *handoffv1.State, req *handoffv1.AcceptRequest, now time.Time) (Decision, error) {
	h, err := current(s)
	switch {
	case err != nil:
		return Decision{}, err
	case h.GetStatus() == accepted:
		return same(Already), nil
	case h.GetStatus() != assigned:
		return Decision{}, wrongState(cmdAccept, h)
	}
	t := d.sit(s, now)
	t.accept(req.GetBy())
	return t.decide(Accepted), nil
}

func (t *sitting) accept(by string) {
	h := t.stay()
	t.settle(accepted, Accepted)
	h.AcceptedAt = t.stamp()
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_Accepted{Accepted: &handoffv1.Accepted{Rep: h.GetRep(), By: by}}
	})
}

// Reject is sales giving the lead back: recycled when time can cure the
// reason, disqualified otherwise.
func (d Desk) Reject(s *handoffv1.State, cmd *handoffv1.RejectCommand, now time.Time) (Decision, error) {
	h, err := current(s)
	req := cmd.GetRequest()
	switch {
	case err != nil:
		return Decision{}, err
	case !ownedBySales(h):
		return Decision{}, wrongState(cmdReject, h)
	case req.GetReason() == leadv1.RejectReason_REJECT_REASON_UNSPECIFIED:
		return Decision{}, fmt.Errorf("%w: name why the lead is rejected, e.g. NOT_READY or WRONG_FIT", ErrBadReason)
	case req.GetReason() == leadv1.RejectReason_REJECT_REASON_OTHER && len(cmd.GetSealedText()) == 0:
		return Decision{}, fmt.Errorf("%w: OTHER needs a text that explains it", ErrBadReason)
	}
	t := d.sit(s, now)
	h.RejectReason, h.SealedText, h.ClosedAt = req.GetReason(), cmd.GetSealedText(), t.stamp()
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_Rejected{Rejected: &handoffv1.Rejected{
			Rep: h.GetRep(), Reason: req.GetReason(), SealedText: cmd.GetSealedText(), By: req.GetBy(),
		}}
	})
	if TimeCures(req.GetReason()) {
		t.recycle(req.GetReason())
		return t.decide(Recycled), nil
	}
	t.settle(disqualified, Disqualified)
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_Disqualified{Disqualified: &handoffv1.Disqualified{Reason: req.GetReason()}}
	})
	return t.decide(Disqualified), nil
}

func (t *sitting) recycle(why leadv1.RejectReason) {
	t.settle(recycled, Recycled)
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_Recycled{Recycled: &handoffv1.Recycled{Reason: why, Round: t.stay().GetRound()}}
	})
}

// Recycle sends a lead that sales took, or lost, back to nurture.
func (d Desk) Recycle(s *handoffv1.State, cmd *handoffv1.RecycleCommand, now time.Time) (Decision, error) {
	h, err := current(s)
	why := cmd.GetRequest().GetReason()
	switch {
	case err != nil:
		return Decision{}, err
	case h.GetStatus() == recycled:
		return same(Already), nil
	case h.GetStatus() != accepted && h.GetStatus() != confirmed && h.GetStatus() != lost:
		return Decision{}, wrongState(cmdRecycle, h)
	case why != leadv1.RejectReason_REJECT_REASON_UNSPECIFIED && !TimeCures(why):
		return Decision{}, fmt.Errorf("%w: time does not cure %s; use reject, which disqualifies the lead", ErrBadReason, reasonName(why))
	}
	t := d.sit(s, now)
	h.RejectReason, h.SealedText, h.ClosedAt = why, cmd.GetSealedText(), t.stamp()
	t.recycle(why)
	return t.decide(Recycled), nil
}

// Outcomed is sales telling how the opportunity goes. It implies that the rep
// took the lead; telling the same again changes nothing.
func (d Desk) Outcomed(s *handoffv1.State, cmd *handoffv1.OutcomeCommand, now time.Time) (Decision, error) {
	h, err := current(s)
	req := cmd.GetRequest()
	to, why := statusOf(req.GetOutcome())
	switch {
	case err != nil:
		return Decision{}, err
	case to == none:
		return Decision{}, fmt.Errorf("%w: name the outcome: SALES_QUALIFIED, WON or LOST", ErrBadReason)
	case h.GetStatus() == to:
		return same(Already), nil
	case !ownedBySales(h) && (h.GetStatus() != lost || to != won):
		return Decision{}, wrongState("record "+string(why), h)
	}
	t := d.sit(s, now)
	if h.GetStatus() == assigned {
		t.accept(req.GetBy())
	}
	t.settle(to, why)
	h.AmountMinor, h.Currency, h.SealedText = req.GetAmountMinor(), req.GetCurrency(), cmd.GetSealedText()
	if to != confirmed {
		h.ClosedAt = t.stamp()
	}
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_OutcomeRecorded{OutcomeRecorded: &handoffv1.OutcomeRecorded{
			Outcome: req.GetOutcome(), AmountMinor: req.GetAmountMinor(), Currency: req.GetCurrency(),
		}}
	})
	return t.decide(why), nil
}

func statusOf(o handoffv1.Outcome) (handoffv1.HandoffStatus, Reason) {
	switch o {
	case handoffv1.Outcome_OUTCOME_SALES_QUALIFIED:
		return confirmed, SalesQualified
	case handoffv1.Outcome_OUTCOME_WON:
		return won, Won
	case handoffv1.Outcome_OUTCOME_LOST:
		return lost, Lost
	default:
		return none, Clear
	}
}

func ownedBySales(h *handoffv1.Handoff) bool {
	return h.GetStatus() == assigned || h.GetStatus() == accepted || h.GetStatus() == confirmed
}

func current(s *handoffv1.State) (*handoffv1.Handoff, error) {
	if s.GetHandoff() == nil {
		return nil, ErrNoHandoff
	}
	return s.GetHandoff(), nil
}

func reasonName(r leadv1.RejectReason) string {
	return strings.TrimPrefix(r.String(), "REJECT_REASON_")
}
