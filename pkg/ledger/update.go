package ledger

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nuid"
	"go.opentelemetry.io/otel/trace"
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
	// Span is what caused the command. Default: the span of the call.
	Span trace.SpanContext
}

// UpdateAll is Update for many commands: those of one lead are applied in the
// order given, and all share as few commits as possible. Results and errors
// belong to the orders, one each.
func (l *Ledger[S]) UpdateAll(ctx context.Context, orders []Order) ([]Result[S], []error) {
	results, errs := make([]Result[S], len(orders)), make([]error, len(orders))
	items := make([]*item, len(orders))
	groups := map[*lane[S]][]*item{}
	for i, o := range orders {
		if items[i], errs[i] = newCommand(ctx, o); errs[i] == nil {
			ln := l.laneOf(o.Lead)
			groups[ln] = append(groups[ln], items[i])
		}
	}
	for ln, its := range groups {
		if err := l.enqueue(ctx, ln, its); err != nil {
			for _, it := range its {
				it.cmd.done <- reply{err: err}
			}
		}
	}
	for i, it := range items {
		if errs[i] == nil {
			results[i], errs[i] = l.answerOf(ctx, it)
		}
	}
	return results, errs
}

func newCommand(ctx context.Context, o Order) (*item, error) {
	if o.Lead == "" || strings.ContainsAny(o.Lead, ".*> \t\r\n") {
		return nil, fmt.Errorf("update lead %q: the id must be one token of a subject, without dots, wildcards or spaces", o.Lead)
	}
	if o.ID == "" {
		o.ID = nuid.Next()
	}
	if !o.Span.IsValid() {
		o.Span = trace.SpanContextFromContext(ctx)
	}
	return &item{
		in:      Input{Lead: o.Lead, Kind: o.Kind, ID: o.ID, Data: o.Data},
		patient: o.Patient,
		cmd:     &command{span: o.Span, idHash: HashID(o.ID), newborn: o.Newborn, escort: o.Escort, done: make(chan reply, 1)},
	}, nil
}

// enqueue hands commands to their lane, to be folded in one pass.
func (l *Ledger[S]) enqueue(ctx context.Context, ln *lane[S], its []*item) error {
	select {
	case ln.cmds <- its:
		return nil
	case <-l.stopped:
		return ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("%w: too many commands wait: %w", ErrUnavailable, ctx.Err())
	}
}

// answerOf waits for the lane's answer to a command.
func (l *Ledger[S]) answerOf(ctx context.Context, it *item) (Result[S], error) {
	var r reply
	select {
	case r = <-it.cmd.done:
	case <-ctx.Done():
		return Result[S]{}, fmt.Errorf("%w: no answer in time: %w", ErrUnavailable, ctx.Err())
	case <-l.stopped:
		select { // the lane may have answered just before it stopped
		case r = <-it.cmd.done:
		default:
			return Result[S]{}, ErrStopped
		}
	}
	if r.err != nil {
		return Result[S]{}, r.err
	}
	e, err := l.public(it.in.Lead, l.newEntry(r.seq, r.rec))
	return Result[S]{Entry: e, Reason: r.reason, Duplicate: r.duplicate}, err
}
