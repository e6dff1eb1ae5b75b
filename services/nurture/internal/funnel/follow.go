package funnel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/nurturehq/nurture/pkg/bus"
)

// Live is a funnel that follows the log.
type Live struct {
	bus *bus.Bus
	now func() time.Time

	mu     sync.Mutex
	funnel *Funnel
	moved  time.Time
}

// Follow makes a live funnel; Run feeds it.
func Follow(b *bus.Bus, now func() time.Time) *Live {
	return &Live{bus: b, now: now, funnel: New(), moved: now()}
}

// streams are what a funnel reads.
var streams = [...]string{bus.Leads, bus.Scores, bus.Campaign, bus.Handoff}

// Run reads the four streams from their beginning and on, in order, until ctx ends.
func (l *Live) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, stream := range streams {
		g.Go(func() error { return l.follow(ctx, stream) })
	}
	return g.Wait()
}

func (l *Live) follow(ctx context.Context, stream string) error {
	cons, err := l.bus.JS.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{bus.Filter(stream, "*", bus.KindState)},
		DeliverPolicy:  jetstream.DeliverAllPolicy,
	})
	if err != nil {
		return fmt.Errorf("follow %s: %w", stream, err)
	}
	it, err := cons.Messages()
	if err != nil {
		return fmt.Errorf("follow %s: %w", stream, err)
	}
	defer context.AfterFunc(ctx, it.Stop)()
	for {
		msg, err := it.Next()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return fmt.Errorf("follow %s: %w", stream, err)
		case err != nil:
			continue // the ordered consumer recovers by itself; sequences make a repeat harmless
		}
		if err := l.apply(stream, msg); err != nil {
			return err
		}
	}
}

func (l *Live) apply(stream string, msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("read metadata of %s: %w", msg.Subject(), err)
	}
	lead, _, _, ok := bus.Split(msg.Subject())
	if !ok {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved = l.now()
	return l.funnel.Apply(Record{
		Stream: stream, Seq: meta.Sequence.Stream, Lead: lead, Time: meta.Timestamp, Data: msg.Data(),
	})
}

// CatchUp waits until the funnel has counted every record that is in the log now.
func (l *Live) CatchUp(ctx context.Context) error {
	for _, stream := range streams {
		want, err := l.lastRecord(ctx, stream)
		if err != nil {
			return err
		}
		for !l.reached(stream, want) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("read %s to its end: %w", stream, ctx.Err())
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	return nil
}

// lastRecord is the sequence of the latest record of a stream; 0 without one.
func (l *Live) lastRecord(ctx context.Context, stream string) (uint64, error) {
	s, err := l.bus.JS.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("open stream %s: %w", stream, err)
	}
	msg, err := s.GetLastMsgForSubject(ctx, bus.Filter(stream, "*", bus.KindState))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the end of %s: %w", stream, err)
	}
	return msg.Sequence, nil
}

func (l *Live) reached(stream string, seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.funnel.last[stream] >= seq
}

// Snapshot counts the leads as of now, and what is parked.
func (l *Live) Snapshot(ctx context.Context) (Snapshot, error) {
	s, err := l.bus.JS.Stream(ctx, bus.Parked)
	if err != nil {
		return Snapshot{}, fmt.Errorf("open stream %s: %w", bus.Parked, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	snap := l.funnel.Snapshot(l.now())
	snap.Parked = int(s.CachedInfo().State.Msgs)
	return snap, nil
}

// Quiet says for how long no record has been written.
func (l *Live) Quiet() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now().Sub(l.moved)
}

// Problems lists some leads that are orphans or without a stage.
func (l *Live) Problems(n int) (orphans, lost []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.funnel.Orphaned(l.now(), n), l.funnel.Lost(n)
}
