package feed

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/route"
)

// Board is the read model of the routing book: rebuilt at start from the
// latest record of every lead, kept up to date by following the log.
type Board struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	book  *route.Book
	ready chan struct{}
	once  sync.Once
	freed chan struct{}
}

// NewBoard makes a board over reps.
func NewBoard(reps []route.Rep, log *slog.Logger, now func() time.Time) *Board {
	return &Board{
		log: log, now: now, book: route.NewBook(reps),
		ready: make(chan struct{}), freed: make(chan struct{}, 1),
	}
}

// Ready is closed once the board has seen all that was in the log at start.
func (b *Board) Ready() <-chan struct{} { return b.ready }

// Freed receives when a rep became free, and once the board is ready; several
// at once count as one.
func (b *Board) Freed() <-chan struct{} { return b.freed }

// Follow reads the log until ctx ends, and begins anew when it is interrupted:
// taking a record in twice changes nothing.
func (b *Board) Follow(ctx context.Context, from *bus.Bus) error {
	for {
		if err := b.follow(ctx, from); ctx.Err() == nil {
			b.log.Warn("follow handoffs: begin anew", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (b *Board) follow(ctx context.Context, from *bus.Bus) error {
	cons, err := from.JS.OrderedConsumer(ctx, bus.Handoff, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{bus.Filter(bus.Handoff, "*", bus.KindState)},
		DeliverPolicy:  jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return fmt.Errorf("open reader of handoffs: %w", bus.Classify(err))
	}
	info, err := cons.Info(ctx)
	if err != nil {
		return fmt.Errorf("open reader of handoffs: %w", bus.Classify(err))
	}
	if info.NumPending == 0 {
		b.markReady()
	}
	it, err := cons.Messages(jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return fmt.Errorf("read handoffs: %w", err)
	}
	defer context.AfterFunc(ctx, it.Stop)()
	defer it.Stop()
	for {
		msg, err := it.Next()
		if err != nil {
			return fmt.Errorf("read handoffs: %w", err)
		}
		b.take(msg)
	}
}

func (b *Board) take(msg jetstream.Msg) {
	rec, state := &ledgerv1.Record{}, &handoffv1.State{}
	if err := proto.Unmarshal(msg.Data(), rec); err != nil {
		b.log.Error("skip undecodable handoff record", "subject", msg.Subject(), "error", err)
		return
	}
	if err := proto.Unmarshal(rec.GetState(), state); err != nil {
		b.log.Error("skip undecodable handoff state", "subject", msg.Subject(), "error", err)
		return
	}
	if h := state.GetHandoff(); h != nil {
		b.See(h)
	}
	if meta, err := msg.Metadata(); err == nil && meta.NumPending == 0 {
		b.markReady()
	}
}

// See takes in the latest handoff of a lead.
func (b *Board) See(h *handoffv1.Handoff) {
	b.mu.Lock()
	freed := b.book.See(h)
	b.mu.Unlock()
	if freed {
		b.signal()
	}
}

func (b *Board) markReady() {
	b.once.Do(func() {
		close(b.ready)
		b.signal()
	})
}

func (b *Board) signal() {
	select {
	case b.freed <- struct{}{}:
	default:
	}
}

// Open gives the handoff of a lead that is held, assigned or accepted; nil for
// others. It must not be changed.
func (b *Board) Open(lead string) *handoffv1.Handoff {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.book.Open(lead)
}

// Propose chooses a rep for a lead, not the one named by not.
func (b *Board) Propose(view *leadv1.View, not string) route.Proposal {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.book.Propose(view, not, b.now())
}

// Next lists held leads that could go on now, longest held first: as many as
// the reps have room for, at most limit.
func (b *Board) Next(limit int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	room := b.book.Room()
	if room != route.Unlimited {
		limit = min(limit, room)
	}
	waiting := b.book.Waiting()
	return waiting[:min(limit, len(waiting))]
}

// Counts gives the load of each rep and the held leads by reason.
func (b *Board) Counts() (loads, holds map[string]int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.book.Loads(), b.book.Holds()
}
