package sender

import (
	"context"
	"errors"
	"slices"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/telemetry"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/gate"
	"github.com/nurturehq/nurture/services/campaign/internal/sender/mail"
)

// wave is how many touches are claimed at once, at least: more than enough for
// one commit, and never more than can be sent before the claims grow old.
const wave = 64

// attemptAll claims, looks once more, and sends, wave after wave.
func (s *Sender) attemptAll(ctx context.Context, jobs []*job) {
	for some := range slices.Chunk(jobs, max(wave, 32*s.Pool.Connections())) {
		s.claim(ctx, some)
		claimed := open(some)
		if len(claimed) == 0 {
			continue
		}
		s.lookAgain(ctx, claimed)
		sending, cancel := context.WithTimeout(ctx, s.o.AttemptTimeout)
		together(open(claimed), func(j *job) { s.deliver(sending, j) })
		cancel()
	}
}

// lookAgain asks suppression and consent once more, after the claim: whoever
// unsubscribed until now gets nothing. A claim that cannot be checked is given
// back, unsent.
func (s *Sender) lookAgain(ctx context.Context, jobs []*job) {
	leads, err := s.Leads(ctx, leadsOf(jobs))
	together(jobs, func(j *job) {
		if err != nil {
			s.putBack(ctx, j, Attempt{Reason: "facts_unavailable", Err: err})
			return
		}
		j.lead = leads[j.msg.Lead]
		switch {
		case j.isMerged():
			s.settle(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED, reason: string(gate.Merged)})
			return
		case !j.knowsAll():
			s.putBack(ctx, j, Attempt{Reason: reasonMerging})
			return
		}
		if reason := gate.Forbidden(j.program.Rules, j.lead); reason != gate.Clear {
			s.settle(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED, reason: string(reason)})
		}
	})
}

// deliver composes and hands over one mail.
func (s *Sender) deliver(ctx context.Context, j *job) {
	span, end := telemetry.StartConsume(bus.Extract(ctx, j.msg.Header), bus.Campaign, telemetry.LeadKey.String(j.msg.Lead))
	defer end.End()
	store := context.WithoutCancel(span)
	m, err := s.Mail.Compose(mail.Touch{ID: j.touch.GetId(), Lead: j.lead, Program: j.program, Step: j.step, At: s.Now()})
	switch {
	case errors.Is(err, mail.ErrAddress):
		s.settle(store, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_FAILED, reason: reasonBadAddress})
		return
	case err != nil:
		s.Log.ErrorContext(span, "a template failed", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "template", j.step.Template, "error", err)
		s.settle(store, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_FAILED, reason: reasonBadTemplate})
		return
	}
	began := s.Now()
	a := s.Pool.Send(ctx, j.class, m)
	s.metrics.attempt(span, a, s.Now().Sub(began))
	s.conclude(store, j, a, m.MessageID)
}

// conclude turns what the server said into an outcome.
func (s *Sender) conclude(ctx context.Context, j *job, a Attempt, messageID string) {
	if a.Err != nil {
		s.Log.WarnContext(ctx, "a mail was not accepted", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "reason", a.Reason)
	}
	switch a.Result {
	case Accepted:
		s.settle(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_SENT, reason: a.Reason, messageID: messageID})
	case Refused:
		s.settle(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_FAILED, reason: a.Reason, messageID: messageID})
		if a.Recipient && s.Bounced != nil {
			s.Bounced(ctx, j.touch, j.msg.Lead, a.Reason)
		}
	case NotTaken:
		s.putBack(ctx, j, a)
	case Unknown:
		if s.parkOwn(ctx, j) {
			s.settle(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS, reason: a.Reason, messageID: messageID})
		}
	}
}

// putBack gives a claimed touch back: the server certainly does not have the
// mail. It is tried again after a pause that grows with its age, until the
// program's patience ends.
func (s *Sender) putBack(ctx context.Context, j *job, a Attempt) {
	age := s.Now().Sub(j.touch.GetPlannedAt().AsTime())
	pause := min(max(age, s.o.RetryMin), s.o.RetryMax)
	if age+pause > j.program.Rules.MaxDefer {
		s.settle(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_FAILED, reason: reasonMaxDefer + ":" + a.Reason})
		return
	}
	s.settle(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED, reason: a.Reason, retryAt: s.Now().Add(pause)})
}
