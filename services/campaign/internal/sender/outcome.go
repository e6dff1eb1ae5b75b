package sender

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
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
	id := j.touch.GetId()
	if o.status == campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED {
		id = deferredID(id, j.msg.Seq)
	}
	s.metrics.touch(ctx, statusName(o.status), o.reason)
	for {
		err := s.publish(ctx, j, id, o)
		switch {
		case err == nil:
			j.done = true
			return
		case errors.Is(err, bus.ErrConflict):
			s.settledBefore(ctx, j, id, o)
			j.done = true
			return
		}
		s.Log.WarnContext(ctx, "an outcome cannot be stored yet", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "status", statusName(o.status), "error", err)
		if !s.pause(outcomePause) {
			return
		}
	}
}

func (s *Sender) publish(ctx context.Context, j *job, id string, o outcome) error {
	out := &campaignv1.Outcome{
		TouchId: j.touch.GetId(), Status: o.status, Reason: o.reason, At: timestamppb.New(s.Now()), MessageId: o.messageID,
	}
	if !o.retryAt.IsZero() {
		out.RetryAt = timestamppb.New(o.retryAt)
	}
	data, err := proto.Marshal(out)
	if err != nil {
		return err
	}
	msg := &nats.Msg{Subject: bus.Subject(bus.Campaign, j.msg.Lead, bus.KindOutcome, id), Data: data, Header: nats.Header{}}
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = bus.Extract(ctx, j.msg.Header)
	}
	bus.Inject(ctx, msg.Header)
	ctx, cancel := context.WithTimeout(ctx, outcomeTimeout)
	defer cancel()
	return s.log.put(ctx, msg, 0)
}

// settledBefore handles an outcome that exists: our own write that seemed lost,
// or somebody who took us for dead and called the touch ambiguous. Then the
// truth is told under an id of its own.
func (s *Sender) settledBefore(ctx context.Context, j *job, id string, o outcome) {
	raw, err := s.Bus.LastMsg(ctx, bus.Campaign, bus.Subject(bus.Campaign, j.msg.Lead, bus.KindOutcome, id))
	if err != nil {
		s.Log.WarnContext(ctx, "read an outcome that exists", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "error", err)
		return
	}
	stored := &campaignv1.Outcome{}
	if err := proto.Unmarshal(raw.Data, stored); err != nil || stored.GetStatus() == o.status {
		return
	}
	s.Log.ErrorContext(ctx, "a touch has two outcomes", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(),
		"first", statusName(stored.GetStatus()), "second", statusName(o.status))
	s.metrics.conflict(ctx)
	if stored.GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS && final(o.status) {
		if err := s.publish(ctx, j, id+"-late", o); err != nil {
			s.Log.ErrorContext(ctx, "tell a late outcome", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "error", err)
		}
	}
}

// final reports whether a status says what happened to a mail.
func final(s campaignv1.TouchStatus) bool {
	return s == campaignv1.TouchStatus_TOUCH_STATUS_SENT || s == campaignv1.TouchStatus_TOUCH_STATUS_FAILED
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
