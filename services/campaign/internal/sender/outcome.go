package sender

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// outcome is what became of a job.
type outcome struct {
	status    campaignv1.TouchStatus
	reason    string
	retryAt   time.Time
	messageID string
}

const (
	outcomeTimeout = 10 * time.Second
	outcomePause   = 500 * time.Millisecond
)

// settle makes the outcome durable, however long that takes: once a mail is
// with the server, forgetting it is the one thing that must not happen. If the
// process dies or has to stop first, the claim without an outcome tells that nobody knows.
func (s *Sender) settle(ctx context.Context, j *job, o outcome) {
	s.metrics.touch(ctx, statusName(o.status), o.reason)
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = bus.Extract(ctx, j.msg.Header)
	}
	out := s.outcome(j, o)
	for {
		touch, err := s.tell(ctx, j, out)
		switch {
		case err == nil:
			s.compare(ctx, j, o.status, touch)
			j.done = true
			return
		case errors.Is(err, ErrRefused):
			j.done = s.parkOutcome(ctx, j, out, err)
			return
		}
		s.Log.WarnContext(ctx, "an outcome cannot be stored yet", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "status", statusName(o.status), "error", err)
		if !s.pause(outcomePause) {
			return
		}
	}
}

// outcome is what the journey is told. A touch that is put off gives its claim back.
func (s *Sender) outcome(j *job, o outcome) *campaignv1.Outcome {
	out := &campaignv1.Outcome{
		TouchId: j.touch.GetId(), Status: o.status, Reason: o.reason, At: timestamppb.New(s.Now()), MessageId: o.messageID,
	}
	if o.status == campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED {
		out.RetryAt, out.Claim = timestamppb.New(o.retryAt), j.claim
	}
	return out
}

func (s *Sender) tell(ctx context.Context, j *job, o *campaignv1.Outcome) (*campaignv1.Touch, error) {
	ctx, cancel := context.WithTimeout(ctx, outcomeTimeout)
	defer cancel()
	return s.Settle(ctx, j.msg.Lead, outcomeID(j, o.GetStatus()), o)
}

// outcomeID names what one plan of a touch, under one claim, came to.
func outcomeID(j *job, status campaignv1.TouchStatus) string {
	return fmt.Sprintf("%s-%d-%d-%s", j.touch.GetId(), j.msg.Seq, j.claim, statusName(status))
}

// compare looks at a touch that somebody else settled before: who took us for dead
// and called it ambiguous is corrected by the journey itself; whom we took for
// dead and who was not, knows better.
func (s *Sender) compare(ctx context.Context, j *job, told campaignv1.TouchStatus, touch *campaignv1.Touch) {
	if touch == nil || told == campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED || touch.GetStatus() == told {
		return
	}
	s.Log.ErrorContext(ctx, "a touch has two outcomes", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(),
		"first", statusName(touch.GetStatus()), "second", statusName(told))
	s.metrics.conflict(ctx)
	if told == campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS {
		s.unpark(ctx, j.msg.Lead, []string{touch.GetId()})
	}
}

// parkOwn parks a touch of our own whose result nobody knows; false when the
// process has to stop first. Without an outcome, whoever finds the claim parks it.
func (s *Sender) parkOwn(ctx context.Context, j *job) bool {
	for {
		raw, _, err := s.heldClaim(ctx, j)
		if err == nil {
			return s.parkAmbiguous(ctx, j, raw)
		}
		s.Log.WarnContext(ctx, "a claim cannot be read yet", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "error", err)
		if !s.pause(outcomePause) {
			return false
		}
	}
}

// parkAmbiguous shows a person the touch whose result nobody knows. It is
// parked under its claim, so that parking it again is one entry.
func (s *Sender) parkAmbiguous(ctx context.Context, j *job, claim *jetstream.RawStreamMsg) bool {
	p := &ledgerv1.Parked{
		Stream: bus.Campaign, Seq: claim.Sequence, Subject: claim.Subject, Data: claim.Data, LeadId: j.msg.Lead,
		Reason: bus.ReasonAmbiguous, MessageTime: timestamppb.New(claim.Time), FirstAt: timestamppb.New(claim.Time),
		Error: "touch " + j.touch.GetId() + ": nobody knows whether the mail went out; what the mail provider tells settles it, or look at the mail server's log and settle it with ResolveTouch",
	}
	return s.parkIt(ctx, p)
}

// parkOutcome shows a person an outcome that cannot be folded; false when the process
// has to stop first. Redriven it is folded like the sender's own word.
func (s *Sender) parkOutcome(ctx context.Context, j *job, o *campaignv1.Outcome, cause error) bool {
	data, err := proto.Marshal(o)
	if err != nil {
		s.Log.ErrorContext(ctx, "an outcome cannot be encoded", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "error", err)
		return false
	}
	return s.parkIt(ctx, &ledgerv1.Parked{
		Stream: bus.Campaign, Seq: j.msg.Seq, Subject: bus.Subject(bus.Campaign, j.msg.Lead, bus.KindOutcome, j.touch.GetId()), Data: data,
		LeadId: j.msg.Lead, Reason: bus.ReasonRefused, Error: cause.Error(), MessageTime: o.GetAt(), FirstAt: o.GetAt(),
	})
}

func (s *Sender) park(ctx context.Context, m bus.Msg, reason, text string) bool {
	return s.parkIt(ctx, &ledgerv1.Parked{
		Stream: m.Stream, Seq: m.Seq, Subject: m.Subject, Data: m.Data, LeadId: m.Lead, Reason: reason, Error: text,
		Attempts: uint32(min(m.Attempt, 1<<20)), MessageTime: timestamppb.New(m.Time), FirstAt: timestamppb.New(m.Time), //nolint:gosec // bounded
	})
}

// parkIt parks; false when the process has to stop before that is durable.
func (s *Sender) parkIt(ctx context.Context, p *ledgerv1.Parked) bool {
	p.Service, p.ParkedAt = "campaign", timestamppb.New(s.Now())
	for {
		err := s.Bus.Park(ctx, p)
		if err == nil {
			return true
		}
		s.Log.WarnContext(ctx, "a touch cannot be parked yet", "lead_id", p.GetLeadId(), "error", err)
		if !s.pause(outcomePause) {
			return false
		}
	}
}

// pause waits; false when the process has waited long enough to stop.
func (s *Sender) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.quit:
		return false
	}
}
