package sender

import (
	"context"
	"errors"
	"fmt"
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

// claim gets the right to attempt some jobs, for ever, all at once. A job that
// must not be attempted now is done, or put off, afterwards.
func (s *Sender) claim(ctx context.Context, jobs []*job) {
	ctx, cancel := context.WithTimeout(ctx, outcomeTimeout)
	defer cancel()
	var asking, taken []*job
	var msgs []*nats.Msg
	for _, j := range jobs {
		msg, err := s.claimMsg(j, 0)
		if err != nil {
			s.unclaimed(ctx, j, err)
			continue
		}
		asking, msgs = append(asking, j), append(msgs, msg)
	}
	stored := s.Bus.PublishAll(ctx, s.pace, msgs)
	for i, j := range asking {
		switch err := stored[i].Err; {
		case err == nil:
			j.claim = stored[i].Seq
		case errors.Is(err, bus.ErrConflict):
			taken = append(taken, j)
		default:
			s.unclaimed(ctx, j, err)
		}
	}
	together(taken, func(j *job) {
		if err := s.contest(ctx, j); err != nil {
			s.unclaimed(ctx, j, err)
		}
	})
}

func (s *Sender) unclaimed(ctx context.Context, j *job, err error) {
	s.Log.WarnContext(ctx, "claim a touch", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "error", err)
	j.later = putOff
}

// claimMsg is a claim that holds if the touch's last one has this sequence, 0
// for none.
func (s *Sender) claimMsg(j *job, last uint64) (*nats.Msg, error) {
	data, err := proto.Marshal(&campaignv1.Claim{
		TouchId: j.touch.GetId(), Sender: s.id, At: timestamppb.New(s.Now()), Plan: j.msg.Seq,
	})
	if err != nil {
		return nil, fmt.Errorf("encode claim: %w", err)
	}
	return bus.ExpectLast(&nats.Msg{Subject: claimOf(j.msg.Lead, j.touch.GetId()), Data: data}, last), nil
}

// contest gets a claim that exists, if that is right: one that was given back is
// taken over, our own holds. An error puts the job off.
func (s *Sender) contest(ctx context.Context, j *job) error {
	f, err := s.inspect(ctx, j)
	if err != nil || f.meaning != returned {
		return err
	}
	msg, err := s.claimMsg(j, f.seq)
	if err == nil {
		j.claim, err = s.Bus.Publish(ctx, msg)
	}
	return err
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
	states, err := s.States(ctx, []string{j.msg.Lead}) // after the claim was read: what its holder told is in it
	if err != nil {
		return finding{}, fmt.Errorf("read own state: %w", err)
	}
	j.state = states[j.msg.Lead]
	touch := j.current()
	age := s.Now().Sub(raw.Time)
	switch {
	case touch == nil:
		j.done = true // settled, or put off: it will be planned again
	case touch.GetReturnedClaim() == raw.Sequence:
		return finding{raw.Sequence, returned}, nil
	case held.GetSender() == s.id:
		j.claim = raw.Sequence
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

// abandon settles a touch whose holder vanished between its claim and its
// outcome: nobody knows whether the mail went out.
func (s *Sender) abandon(ctx context.Context, j *job, raw *jetstream.RawStreamMsg, held *campaignv1.Claim) {
	s.Log.WarnContext(ctx, "a sender vanished; whether its mail went out is unknown", "lead_id", j.msg.Lead, "touch_id", j.touch.GetId(), "sender", held.GetSender())
	if s.parkAmbiguous(ctx, j, raw) {
		s.settle(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS, reason: reasonClaimOrphan})
	}
}
