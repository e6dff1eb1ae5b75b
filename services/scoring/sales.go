package scoring

import (
	"slices"

	"github.com/nurturehq/nurture/pkg/stage"
	"github.com/nurturehq/nurture/services/scoring/internal/score"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// salesFact follows one fact of handoff: the stage is where sales says it is.
func (t *turn) salesFact(e *handoffv1.Event) {
	switch fact := e.GetFact().(type) {
	case *handoffv1.Event_Assigned:
		t.note(ReasonSales)
		t.trigger(stage.Assigned)
	case *handoffv1.Event_Accepted:
		t.note(ReasonSales)
		t.settle()
		t.trigger(stage.Accepted)
	case *handoffv1.Event_Rejected:
		t.note(ReasonSales)
		t.answers().Rejected++
		t.answered(&scoringv1.Answered{Stage: leadv1.Stage_STAGE_REJECTED, Reason: fact.Rejected.GetReason()})
		t.trigger(stage.Rejected)
		t.giveBack()
	case *handoffv1.Event_Recycled:
		t.note(ReasonSales)
		t.trigger(stage.Recycled)
		t.giveBack()
	case *handoffv1.Event_Disqualified:
		t.note(ReasonSales)
		t.answered(&scoringv1.Answered{Stage: leadv1.Stage_STAGE_DISQUALIFIED, Reason: fact.Disqualified.GetReason()})
		t.trigger(stage.Disqualified)
		t.settle()
	case *handoffv1.Event_TakenOver:
		t.note(ReasonSales)
		t.takenOver(fact.TakenOver)
	case *handoffv1.Event_GivenBack:
		t.note(ReasonSales)
		t.state.Score.Qualified = false
		t.trigger(stage.Restored)
	case *handoffv1.Event_OutcomeRecorded:
		t.note(ReasonSales)
		t.outcome(fact.OutcomeRecorded)
	}
}

func (t *turn) outcome(o *handoffv1.OutcomeRecorded) {
	answer := &scoringv1.Answered{AmountMinor: o.GetAmountMinor(), Currency: o.GetCurrency()}
	t.settle()
	switch o.GetOutcome() {
	case handoffv1.Outcome_OUTCOME_SALES_QUALIFIED:
		t.trigger(stage.Confirmed)
	case handoffv1.Outcome_OUTCOME_WON:
		answer.Stage = leadv1.Stage_STAGE_WON
		t.answers().Won++
		t.answered(answer)
		t.trigger(stage.Won)
	case handoffv1.Outcome_OUTCOME_LOST:
		answer.Stage = leadv1.Stage_STAGE_LOST
		t.answers().Lost++
		t.answered(answer)
		t.trigger(stage.Lost)
	case handoffv1.Outcome_OUTCOME_UNSPECIFIED:
	}
}

func (t *turn) answers() *scoringv1.Answers {
	if t.state.Answers == nil {
		t.state.Answers = &scoringv1.Answers{}
	}
	return t.state.Answers
}

// answered tells what sales made of the lead, with the score of this moment:
// the label a later model learns from.
func (t *turn) answered(a *scoringv1.Answered) {
	t.read()
	a.Score = score.Copy(t.state.GetScore())
	t.emit(&scoringv1.Event{Fact: &scoringv1.Event_Answered{Answered: a}})
}

// giveBack makes the lead earn its next handoff: what it did so far has been
// weighed by a person and found too light.
func (t *turn) giveBack() {
	t.state.Score.Qualified = false
	t.settle()
	t.state.FlippedAt = t.stamp
	t.state.OwedPoints = t.model.Renew
}

// takenOver follows what sales did with this person under another id: the stage
// is where that one was. Its answers were counted there. A lead that is still
// merged goes on from there when it is one of its own again.
func (t *turn) takenOver(o *handoffv1.TakenOver) {
	t.settle()
	if from := o.GetFromLeadId(); from != "" && !slices.Contains(t.state.GetStaysOf(), from) {
		t.state.StaysOf = append(t.state.GetStaysOf(), from)
	}
	merged := t.state.GetScore().GetStage() == leadv1.Stage_STAGE_MERGED
	at := t.state.GetScore().GetStage()
	if merged {
		at = t.state.GetStageBefore()
	}
	if leftSales(o.GetStatus()) {
		if !stage.IsWithSales(at) {
			return // it knows that already
		}
		t.giveBack()
	}
	for _, on := range taken(o.GetStatus()) {
		if merged {
			t.state.StageBefore = stage.Next(t.state.GetStageBefore(), on).To
			continue
		}
		t.trigger(on)
	}
}

// leftSales reports whether a stay ended with the lead being marketing's again.
func leftSales(status handoffv1.HandoffStatus) bool {
	switch status {
	case handoffv1.HandoffStatus_HANDOFF_STATUS_REJECTED, handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED,
		handoffv1.HandoffStatus_HANDOFF_STATUS_WITHDRAWN:
		return true
	default:
		return false
	}
}

// taken gives the triggers that lead to where a status of handoff is.
func taken(status handoffv1.HandoffStatus) []stage.Trigger {
	switch status {
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED:
		return []stage.Trigger{stage.Assigned}
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED:
		return []stage.Trigger{stage.Assigned, stage.Accepted}
	case handoffv1.HandoffStatus_HANDOFF_STATUS_SALES_QUALIFIED:
		return []stage.Trigger{stage.Assigned, stage.Confirmed}
	case handoffv1.HandoffStatus_HANDOFF_STATUS_WON:
		return []stage.Trigger{stage.Assigned, stage.Won}
	case handoffv1.HandoffStatus_HANDOFF_STATUS_LOST:
		return []stage.Trigger{stage.Assigned, stage.Lost}
	case handoffv1.HandoffStatus_HANDOFF_STATUS_DISQUALIFIED:
		return []stage.Trigger{stage.Disqualified}
	case handoffv1.HandoffStatus_HANDOFF_STATUS_REJECTED:
		return []stage.Trigger{stage.Rejected}
	case handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED:
		return []stage.Trigger{stage.Rejected, stage.Recycled}
	case handoffv1.HandoffStatus_HANDOFF_STATUS_WITHDRAWN:
		return []stage.Trigger{stage.Restored}
	default:
		return nil
	}
}
