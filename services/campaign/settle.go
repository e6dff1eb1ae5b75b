package campaign

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/sender"
)

const (
	// settleTogether bounds the outcomes that share a pass of the ledger.
	settleTogether = 500
	// settleBusy is from how many outcomes at once on the next ones wait for each
	// other, settlePause how long. A mail whose outcome is not durable when the process
	// dies is one that a person has to look into, so it is a moment and no more.
	settleBusy  = 4
	settlePause = 50 * time.Millisecond
	// settlePatience bounds the wait for the records.
	settlePatience = 10 * time.Second
)

// told is one outcome on its way into the log.
type told struct {
	order ledger.Order
	done  chan settled
}

type settled struct {
	state *campaignv1.State
	err   error
}

// settle folds what became of a touch: one record says so.
func (s *Service) settle(ctx context.Context, lead, id string, o *campaignv1.Outcome) (*campaignv1.Touch, error) {
	raw, err := proto.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("%w: encode it: %w", sender.ErrRefused, err)
	}
	t := told{
		order: ledger.Order{Lead: lead, Span: trace.SpanContextFromContext(ctx), Command: ledger.Command{ID: id, Kind: bus.KindOutcome, Data: raw}},
		done:  make(chan settled, 1),
	}
	select {
	case s.outcomes <- t:
	case <-ctx.Done():
		return nil, fmt.Errorf("record outcome: %w", ctx.Err())
	}
	select {
	case r := <-t.done:
		return sender.TouchOf(r.state, o.GetTouchId()), refusal(r.err)
	case <-ctx.Done():
		return nil, fmt.Errorf("record outcome: %w", ctx.Err())
	}
}

// refusal tells an outcome that can never be folded from a log that is away.
func refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ledger.ErrUnavailable), errors.Is(err, ledger.ErrStopped), ledger.IsTransient(err):
		return fmt.Errorf("record outcome: %w", err)
	default:
		return fmt.Errorf("%w: %w", sender.ErrRefused, err)
	}
}

// settleAll hands outcomes to the ledger until there will be no more: alone while
// they are few, in groups that share a commit while they are many.
func (s *Service) settleAll(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	for group := range bus.Batches(s.outcomes, settleTogether) {
		under.Go(func() { s.settleGroup(ctx, group) })
		if len(group) >= settleBusy {
			<-time.After(settlePause)
		}
	}
}

func (s *Service) settleGroup(ctx context.Context, group []told) {
	ctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	orders := make([]ledger.Order, len(group))
	for i, t := range group {
		orders[i] = t.order
	}
	results, errs := s.ledger.UpdateAll(ctx, orders)
	for i, t := range group {
		t.done <- settled{results[i].State, errs[i]}
	}
}
