package ledger

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nuid"
	"google.golang.org/protobuf/proto"
)

// Update folds a command into a lead's state and answers when the record is
// durable. Commands and inputs at hand share commits. An error of the fold comes
// back as it is; ErrUnavailable means that the outcome is unknown, and repeating
// the command with the same ID is safe.
func (l *Ledger[S]) Update(ctx context.Context, lead string, cmd Command) (Result[S], error) {
	res, errs := l.UpdateAll(ctx, []Order{{Lead: lead, Command: cmd}})
	return res[0], errs[0]
}

// Order is one command for one lead.
type Order struct {
	Lead string
	Command
}

// UpdateAll is Update for many commands: those of one lead are applied in the
// order given, and all share as few commits as possible. Results and errors
// belong to the orders, one each.
func (l *Ledger[S]) UpdateAll(ctx context.Context, orders []Order) ([]Result[S], []error) {
	results, errs := make([]Result[S], len(orders)), make([]error, len(orders))
	waiting := make([]<-chan reply, len(orders))
	for i, o := range orders {
		waiting[i], errs[i] = l.enqueue(ctx, o)
	}
	for i, done := range waiting {
		if errs[i] == nil {
			results[i], errs[i] = answerOf[S](ctx, done, l.stopped)
		}
	}
	return results, errs
}

// enqueue hands a command to its lane.
func (l *Ledger[S]) enqueue(ctx context.Context, o Order) (<-chan reply, error) {
	if o.Lead == "" || strings.ContainsAny(o.Lead, ".*> \t\r\n") {
		return nil, fmt.Errorf("update lead %q: the id must be one token of a subject, without dots, wildcards or spaces", o.Lead)
	}
	if o.ID == "" {
		o.ID = nuid.Next()
	}
	it := &item{
		in:      Input{Lead: o.Lead, Kind: o.Kind, ID: o.ID, Data: o.Data},
		patient: o.Patient,
		cmd:     &command{ctx: ctx, idHash: HashID(o.ID), newborn: o.Newborn, done: make(chan reply, 1)},
	}
	select {
	case l.laneOf(o.Lead).cmds <- it:
		return it.cmd.done, nil
	case <-l.stopped:
		return nil, ErrStopped
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: too many commands wait: %w", ErrUnavailable, ctx.Err())
	}
}

// answerOf waits for the lane's answer.
func answerOf[S proto.Message](ctx context.Context, done <-chan reply, stopped <-chan struct{}) (Result[S], error) {
	var r reply
	select {
	case r = <-done:
	case <-ctx.Done():
		return Result[S]{}, fmt.Errorf("%w: no answer in time: %w", ErrUnavailable, ctx.Err())
	case <-stopped:
		select { // the lane may have answered just before it stopped
		case r = <-done:
		default:
			return Result[S]{}, ErrStopped
		}
	}
	if r.err != nil {
		return Result[S]{}, r.err
	}
	return r.result.(Result[S]), nil //nolint:forcetypeassert,errcheck // the lane of a Ledger[S] answers with nothing else
}
