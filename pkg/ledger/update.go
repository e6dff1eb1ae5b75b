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
	if lead == "" || strings.ContainsAny(lead, ".*> \t\r\n") {
		return Result[S]{}, fmt.Errorf("update lead %q: the id must be one token of a subject, without dots, wildcards or spaces", lead)
	}
	if cmd.ID == "" {
		cmd.ID = nuid.Next()
	}
	it := &item{
		in:  Input{Lead: lead, Kind: cmd.Kind, ID: cmd.ID, Data: cmd.Data},
		cmd: &command{ctx: ctx, idHash: hashID(cmd.ID), done: make(chan reply, 1)},
	}
	select {
	case l.laneOf(lead).cmds <- it:
	case <-l.stopped:
		return Result[S]{}, ErrStopped
	case <-ctx.Done():
		return Result[S]{}, fmt.Errorf("%w: too many commands wait: %w", ErrUnavailable, ctx.Err())
	}
	return answerOf[S](ctx, it.cmd.done, l.stopped)
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
