package traffic

import (
	"context"
	"fmt"
	"time"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/crmdesk"
	"github.com/nurturehq/nurture/services/nurture/internal/population"
)

// answerHandoffs lets the reps answer every handoff that reaches the desk, once
// per stay with sales.
func (t *Traffic) answerHandoffs(ctx context.Context) error {
	answered := map[string]bool{}
	for {
		events, err := t.opts.Desk.Wait(ctx, t.answers.Load())
		if err != nil {
			return err
		}
		for _, e := range events {
			h := e.Dossier.GetHandoff()
			stay := fmt.Sprintf("%s-%d", e.Lead, h.GetRound())
			if h.GetStatus() == handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED && !answered[stay] && t.knows(e) {
				answered[stay] = true
				t.answer(ctx, e, stay)
			}
			t.answers.Add(1)
		}
	}
}

// knows: only people of this population are answered; a lead that somebody else
// brought in waits for somebody to press the buttons.
func (t *Traffic) knows(e *crmdesk.Event) bool {
	return t.byEmail[e.Dossier.GetProfile().GetEmail()] != nil
}

func (t *Traffic) answer(ctx context.Context, e *crmdesk.Event, stay string) {
	h := e.Dossier.GetHandoff()
	j := population.Judge(t.opts.Seed, e.Dossier.GetProfile().GetEmail(), h.GetRound(), t.opts.React)
	a := crmdesk.Answer{Lead: e.Lead, Verdict: crmdesk.Accept, By: h.GetRep(), RequestID: stay + "-answer"}
	switch j.Verdict {
	case population.NotReady:
		a.Verdict, a.Reason, a.Text = crmdesk.Reject, leadv1.RejectReason_REJECT_REASON_NOT_READY, "only collecting information"
	case population.NoBudget:
		a.Verdict, a.Reason, a.Text = crmdesk.Reject, leadv1.RejectReason_REJECT_REASON_NO_BUDGET, "budget opens next year"
	case population.AcceptAndKeep, population.AcceptAndWin, population.AcceptAndLose:
	}
	t.owe(ctx, j.After, func() {
		t.check(ctx, string(a.Verdict), -1, t.say(ctx, a))
		t.close(ctx, a, j, stay)
	})
}

// close tells later what became of an accepted lead.
func (t *Traffic) close(ctx context.Context, a crmdesk.Answer, j population.Judgement, stay string) {
	a.RequestID, a.Text = stay+"-outcome", ""
	switch j.Verdict {
	case population.AcceptAndWin:
		a.Verdict, a.AmountMinor, a.Currency = crmdesk.Won, 1_200_000, "EUR"
	case population.AcceptAndLose:
		a.Verdict = crmdesk.Lost
	case population.AcceptAndKeep, population.NotReady, population.NoBudget:
		return
	}
	t.owe(ctx, j.Close, func() { t.check(ctx, string(a.Verdict), -1, t.say(ctx, a)) })
}

func (t *Traffic) say(ctx context.Context, a crmdesk.Answer) error {
	_, err := t.opts.Desk.Answer(ctx, a)
	return err
}

// owe is later for what the story must not end before.
func (t *Traffic) owe(ctx context.Context, after time.Duration, do func()) {
	t.owed.Add(1)
	t.later(ctx, after, func() {
		defer t.owed.Add(-1)
		do()
	})
}
