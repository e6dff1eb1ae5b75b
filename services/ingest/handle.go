package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/store"
)

// How long things may take.
const (
	// acceptTimeout bounds one acceptance; the sender is told to try again.
	acceptTimeout = 10 * time.Second
	// repointTimeout bounds what is left to do when the event is recorded.
	repointTimeout = 5 * time.Second
	// busyFor is what a sender is told to wait when too much is in flight.
	busyFor = time.Second
)

// errBusy: more events are in flight than this process works on at once.
var errBusy = errors.New("too many events are in flight; send again in a moment")

// accept takes events whose sender no limits of a source bind: the platform's
// own services, and NATS, which keeps what is not taken yet. Others are admitted
// (admit.go).
func (s *Service) accept(ctx context.Context, subs []person.Submission) []person.Outcome {
	leave, err := s.gate.enter(nil, len(subs), s.deps.Now())
	if err != nil {
		return s.count(ctx, subs, refuseAll(make([]person.Outcome, len(subs)), err))
	}
	defer leave()
	return s.flow(ctx, subs)
}

// flow is THE FLOW of every event, whatever way it came: whose is it and which
// company are they with, claim what is new, record it, and give what changed hands to its new owner. It answers
// after all is durable, one outcome per submission, in order.
func (s *Service) flow(ctx context.Context, subs []person.Submission) []person.Outcome {
	if slices.ContainsFunc(subs, ofCompany) {
		return s.flowApart(ctx, subs)
	}
	outcomes := make([]person.Outcome, len(subs))
	ctx, cancel := context.WithTimeout(ctx, acceptTimeout)
	defer cancel()

	if err := s.find(ctx, subs); err != nil {
		return s.count(ctx, subs, refuseAll(outcomes, classify(err)))
	}
	employed := s.employ(ctx, subs)
	answers, pledges, err := s.resolve(ctx, subs, s.book.Begin)
	defer pledges.End() //nolint:contextcheck // a group of the book belongs to no single caller
	if err := errors.Join(err, employed()); err != nil {
		return s.count(ctx, subs, refuseAll(outcomes, classify(err)))
	}
	if err := s.heed(ctx, subs, answers); err != nil {
		return s.count(ctx, subs, refuseAll(outcomes, classify(err)))
	}
	s.recordAll(ctx, subs, resolved{answers, pledges}, outcomes)
	pledges.End() //nolint:contextcheck // as above
	s.reborn(ctx, subs, answers, outcomes)
	return s.count(ctx, subs, outcomes)
}

// recordAll commits the submissions to their leads, those of one lead in order,
// all in as few commits as possible. Leads that turned out to be one are merged
// before, or right after the survivor's first record, and identities change hands only after: after a crash in between the
// same event does it again.
func (s *Service) recordAll(ctx context.Context, subs []person.Submission, of resolved, outcomes []person.Outcome) {
	answers := of.answers
	early, err := s.mergeAll(ctx, answers)
	if err != nil {
		refuseAll(outcomes, classify(err))
		return
	}
	orders := make([]ledger.Order, 0, len(subs))
	at := make([]int, 0, len(subs)) // whose order it is
	for i := range subs {
		order, outcome := s.order(ctx, &subs[i], answers[i])
		if outcome != nil {
			outcomes[i] = *outcome
			continue
		}
		order.Escort = of.pledges.Escort(order.Lead)
		orders, at = append(orders, order), append(at, i)
	}
	results, errs := s.ledger.UpdateAll(ctx, orders)
	for j, i := range at {
		if merging(errs[j]) {
			results[j], errs[j] = s.chase(ctx, &subs[i], orders[j], errs[j])
		}
		if errs[j] == nil && slices.Contains(early, i) {
			errs[j] = s.mergeInto(ctx, answers[i])
		}
		outcomes[i] = s.recorded(ctx, answers[i], results[j], errs[j])
	}
}

// order makes the command that records a submission, or the outcome when there
// is nothing to record.
func (s *Service) order(ctx context.Context, sub *person.Submission, ans identity.Answer) (ledger.Order, *person.Outcome) {
	if ans.Replayed {
		done, err := s.contains(ctx, ans.Lead, sub.ID)
		if err != nil {
			return ledger.Order{}, &person.Outcome{Err: classify(err)}
		}
		if done {
			return ledger.Order{}, &person.Outcome{Lead: ans.Lead, Duplicate: true}
		}
	}
	if !identity.ValidLead(ans.Lead) {
		return ledger.Order{}, &person.Outcome{Err: classify(fmt.Errorf("lead %.64q: %w", ans.Lead, person.ErrUnknownLead))}
	}
	enrich(sub, ans)
	s.doubt(sub)
	cmd, err := sub.Command()
	if err != nil {
		return ledger.Order{}, &person.Outcome{Err: err}
	}
	cmd.Newborn = ans.New
	return ledger.Order{Lead: ans.Lead, Command: cmd}, nil
}

// recorded gives what changed hands to its new owner and says what became of a
// submission.
func (s *Service) recorded(ctx context.Context, ans identity.Answer, res ledger.Result[*ingestv1.State], err error) person.Outcome {
	if err == nil && len(ans.Repoint) > 0 {
		err = s.repoint(ctx, ans.Repoint)
	}
	if err != nil {
		return person.Outcome{Err: classify(err)}
	}
	if len(res.State.GetJoining())+len(res.State.GetLeaving()) > 0 {
		s.heal(ctx, res.Entry)
	}
	lead := res.Lead
	if res.State.GetMergedInto() != nil { // recorded before the lead was merged
		e, err := s.Find(ctx, lead)
		if err != nil {
			return person.Outcome{Err: classify(err)}
		}
		lead = e.Lead
	}
	return person.Outcome{
		Lead: lead, Created: res.Reason == person.ReasonCaptured, Duplicate: res.Duplicate || res.Reason == person.ReasonRepeated,
	}
}

// doubt flags an activity whose sender's clock is not believed, before the
// command is written: the fold takes the nearest time that is.
func (s *Service) doubt(sub *person.Submission) {
	c := sub.Apply.GetCapture()
	why := person.Doubt(cmp.Or(c.GetActivity().GetOccurredAt(), c.GetOccurredAt()), s.deps.Now())
	if why == "" {
		return
	}
	s.tally.clamped(c.GetSource())
	if a := c.GetActivity(); a != nil {
		if a.Properties == nil {
			a.Properties = map[string]string{}
		}
		a.Properties["clock"] = why
	}
}

// enrich adds to a submission what its identities told.
func enrich(sub *person.Submission, ans identity.Answer) {
	if sub.Lead != "" {
		sub.Apply.MustExist = true
	}
	if ans.UserForeign {
		sub.Apply.Capture.UserId = ""
	}
	if c := sub.Apply.GetCapture(); ans.PreviousUser && c.GetAnonymousId() == c.GetPreviousId() {
		c.AnonymousId = ""
	}
	sub.Apply.Origin = ans.Origin
}

func (s *Service) repoint(ctx context.Context, moves []identity.Repoint) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), repointTimeout)
	defer cancel()
	return s.book.Repoint(ctx, moves)
}

// weigh reads what the book must know about leads before it gives something of
// one to another. What it says of a merged lead is about the survivor.
func (s *Service) weigh(ctx context.Context, leads []string) (map[string]identity.Held, error) {
	entries, err := s.ledger.BatchGet(ctx, leads, false)
	if err != nil {
		return nil, fmt.Errorf("read leads: %w", err)
	}
	held := make(map[string]identity.Held, len(entries))
	for lead, e := range entries {
		into := ""
		if e.State.GetMergedInto() != nil {
			if e, err = s.Find(ctx, lead); err != nil {
				return nil, err
			}
			if e.Lead != lead {
				into = e.Lead
			}
		}
		held[lead] = identity.Held{
			Exists: e.State.GetErasedAt() == nil,
			Email:  len(e.State.GetEmails()) > 0,
			User:   len(e.State.GetLead().GetUserIds()) > 0,
			Into:   into, Apart: e.State.GetApart(),
		}
	}
	return held, nil
}

func refuseAll(outcomes []person.Outcome, err error) []person.Outcome {
	for i := range outcomes {
		outcomes[i].Err = err
	}
	return outcomes
}

// classify gives an error the meaning it has for the sender: what passes by
// itself is unavailability, and everything may be sent again.
func classify(err error) error {
	switch {
	case errors.Is(err, person.ErrUnknownLead), errors.Is(err, person.ErrErased):
		return rpc.Mark(err, codes.NotFound)
	case errors.Is(err, bus.ErrUnavailable), errors.Is(err, store.ErrContended), errors.Is(err, ledger.ErrOvertaken), errors.Is(err, person.ErrUnderWay), errors.Is(err, errRestless),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, ledger.ErrUnavailable):
		return rpc.RetryAfter(fmt.Errorf("%w: %w", ledger.ErrUnavailable, err), codes.Unavailable, busyFor)
	}
	return err
}
