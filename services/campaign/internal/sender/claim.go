package sender

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
)

// clockSlack is added before a claim counts as abandoned: clocks of two
// machines differ.
const clockSlack = 5 * time.Second

// claim gets the right to attempt a job, for ever. A job that must not be
// attempted now is done, or put off, afterwards.
func (s *Sender) claim(ctx context.Context, j *job) {
	ctx, cancel := context.WithTimeout(ctx, outcomeTimeout)
	defer cancel()
	msg, err := s.claimMsg(j)
	if err == nil {
		err = s.log.put(ctx, msg, 0)
	}
	if errors.Is(err, bus.ErrConflict) {
		err = s.contest(ctx, j)
	}
	if err != nil {
		s.Log.WarnContext(ctx, "claim a touch", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "error", err)
		j.later = putOff
	}
}

func (s *Sender) claimMsg(j *job) (*nats.Msg, error) {
	data, err := proto.Marshal(&campaignv1.Claim{
		TouchId: j.touch.GetId(), Sender: s.id, At: timestamppb.New(s.Now()), Plan: j.msg.Seq,
	})
	if err != nil {
		return nil, fmt.Errorf("encode claim: %w", err)
	}
	return &nats.Msg{Subject: claimOf(j.msg.Lead, j.touch.GetId()), Data: data, Header: nats.Header{}}, nil
}

// contest gets a claim that exists, if that is right. An error puts the job off.
func (s *Sender) contest(ctx context.Context, j *job) error {
	f, err := s.inspect(ctx, j)
	if err != nil || f.meaning != returned {
		return err
	}
	return s.takeOver(ctx, j, f.seq)
}

// withhold settles a job that the gates hold back. Whatever they say now, a
// touch that somebody claimed before may have gone out.
func (s *Sender) withhold(ctx context.Context, j *job, o outcome) {
	asking, cancel := context.WithTimeout(ctx, outcomeTimeout)
	defer cancel()
	f, err := s.inspect(asking, j)
	switch {
	case errors.Is(err, bus.ErrNoMessage), err == nil && f.meaning != foreign:
		s.settle(ctx, j, o)
	case err != nil:
		s.Log.WarnContext(ctx, "look for a claim", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "error", err)
		j.later = putOff
	}
}

// finding is what a claim that exists means.
type finding struct {
	seq     uint64
	meaning meaning
}

type meaning int

const (
	// foreign: somebody else's, who may have sent. The job is done, put off, or
	// given up as ambiguous.
	foreign meaning = iota
	// returned: its holder told that the mail certainly was not taken.
	returned
	// own: ours, and no attempt of this process is under way: the write that
	// seemed lost had arrived. Nothing was sent.
	own
)

// inspect finds out what the claim of a job means; bus.ErrNoMessage when there
// is none.
func (s *Sender) inspect(ctx context.Context, j *job) (finding, error) {
	raw, held, err := s.heldClaim(ctx, j)
	if err != nil {
		return finding{}, err
	}
	settled, err := s.exists(ctx, j, j.touch.GetId())
	if err != nil || settled {
		j.done = settled
		return finding{}, err
	}
	back, err := s.exists(ctx, j, deferredID(j.touch.GetId(), held.GetPlan()))
	if err != nil {
		return finding{}, err
	}
	age := s.Now().Sub(raw.Time)
	switch {
	case back:
		return finding{raw.Sequence, returned}, nil
	case held.GetSender() == s.id:
		return finding{raw.Sequence, own}, nil
	case age < s.o.AttemptTimeout+clockSlack:
		j.later = s.o.AttemptTimeout + clockSlack - age
	default:
		s.abandon(context.WithoutCancel(ctx), j, raw, held)
	}
	return finding{}, nil
}

func (s *Sender) heldClaim(ctx context.Context, j *job) (*jetstream.RawStreamMsg, *campaignv1.Claim, error) {
	raw, err := s.Bus.LastMsg(ctx, bus.Campaign, claimOf(j.msg.Lead, j.touch.GetId()))
	if err != nil {
		return nil, nil, fmt.Errorf("read claim: %w", err)
	}
	held := &campaignv1.Claim{}
	if err := proto.Unmarshal(raw.Data, held); err != nil {
		return nil, nil, fmt.Errorf("decode claim: %w", err)
	}
	return raw, held, nil
}

// exists reports whether an outcome of this id was published.
func (s *Sender) exists(ctx context.Context, j *job, id string) (bool, error) {
	_, err := s.Bus.LastMsg(ctx, bus.Campaign, bus.Subject(bus.Campaign, j.msg.Lead, bus.KindOutcome, id))
	if errors.Is(err, bus.ErrNoMessage) {
		return false, nil
	}
	return err == nil, err
}

// takeOver claims a touch whose last holder gave it back: it told that the
// server certainly did not take the mail.
func (s *Sender) takeOver(ctx context.Context, j *job, last uint64) error {
	msg, err := s.claimMsg(j)
	if err != nil {
		return err
	}
	return s.log.put(ctx, msg, last)
}

// abandon settles a touch whose holder vanished between its claim and its
// outcome: nobody knows whether the mail went out.
func (s *Sender) abandon(ctx context.Context, j *job, raw *jetstream.RawStreamMsg, held *campaignv1.Claim) {
	s.Log.WarnContext(ctx, "a sender vanished; whether its mail went out is unknown", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "sender", held.GetSender())
	if s.parkAmbiguous(ctx, j, raw) {
		s.settle(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS, reason: reasonClaimOrphan})
	}
}

// deferredID is the id of the outcome that puts one plan of a touch off: each
// plan may be put off once, and the touch itself may still be settled.
func deferredID(touch string, plan uint64) string {
	return touch + "-" + strconv.FormatUint(plan, 10)
}
