package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

const (
	// scribeMax is the server's limit for one atomic batch.
	scribeMax = 1000
	// scribeQueue bounds what waits to be written.
	scribeQueue = 4 * scribeMax
	// scribeLinger is how long a patient scribe waits for more.
	scribeLinger = 500 * time.Millisecond
	// scribeBusy: a group that came together within scribeLinger and is smaller is
	// not worth waiting for next time.
	scribeBusy = 4
)

// ScribeOptions say how a Scribe writes.
type ScribeOptions struct {
	Bus *Bus
	// Patient: nobody waits for the single message, so a busy scribe waits a
	// moment for more.
	Patient bool
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Scribe writes messages of many callers to one stream: whatever waits goes out
// together, as one atomic batch where that is quicker. When a message spoils a
// batch each is written alone, so none suffers for another.
type Scribe struct {
	o     ScribeOptions
	pace  *Pace
	queue chan line
}

// line is one message that waits to be written.
type line struct {
	msg  *nats.Msg
	done chan error
}

// NewScribe makes a scribe; it writes while Run runs.
func NewScribe(o ScribeOptions) *Scribe {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Scribe{o: o, pace: NewPace(), queue: make(chan line, scribeQueue)}
}

// Put writes a message and returns when it is durable. The error is nil,
// ErrConflict for a condition that does not hold, or ErrUnavailable when nobody
// knows whether it was stored. A repeat within the window of its Nats-Msg-Id
// changes nothing.
func (s *Scribe) Put(ctx context.Context, msg *nats.Msg) error {
	l := line{msg: msg, done: make(chan error, 1)}
	select {
	case s.queue <- l:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	select {
	case err := <-l.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

// Run writes until ctx ends, and what waits then.
func (s *Scribe) Run(ctx context.Context) {
	work := context.WithoutCancel(ctx)
	busy := false
	for {
		group := s.gather(ctx, busy)
		if len(group) == 0 {
			return
		}
		busy = s.o.Patient && len(group) >= scribeBusy
		s.commit(work, group)
	}
}

// gather waits for something to write and takes what is at hand; when there was
// much last time, also what comes within a moment. Nothing at the end.
func (s *Scribe) gather(ctx context.Context, linger bool) (group []line) {
	select {
	case l := <-s.queue:
		group = append(group, l)
	case <-ctx.Done():
	}
	var patience <-chan time.Time
	if linger && ctx.Err() == nil {
		timer := time.NewTimer(scribeLinger)
		defer timer.Stop()
		patience = timer.C
	}
	for len(group) < scribeMax {
		select {
		case l := <-s.queue:
			group = append(group, l)
			continue
		default:
		}
		if patience == nil {
			break
		}
		select {
		case l := <-s.queue:
			group = append(group, l)
		case <-patience:
			patience = nil
		case <-ctx.Done():
			patience = nil
		}
	}
	return group
}

func (s *Scribe) commit(ctx context.Context, group []line) {
	n := len(group)
	if s.pace.Batches(n) && s.batch(ctx, group) {
		return
	}
	began := s.o.Now()
	acks := make([]jetstream.PubAckFuture, n)
	for i, l := range group {
		var err error
		if acks[i], err = s.o.Bus.JS.PublishMsgAsync(l.msg); err != nil {
			l.done <- Classify(err)
		}
	}
	for i, l := range group {
		if acks[i] != nil {
			l.done <- awaitAck(ctx, acks[i])
		}
	}
	s.pace.Piped(n, s.o.Now().Sub(began))
}

// batch tries to store all at once. When one of them spoils it, or nobody knows
// whether it was stored, each is tried alone: a write that was stored after all
// then looks like a conflict, and whoever wrote it recognises it as his own.
func (s *Scribe) batch(ctx context.Context, group []line) bool {
	msgs := make([]*nats.Msg, len(group))
	for i, l := range group {
		// The original is spared the batch headers, which must not be sent twice.
		msgs[i] = &nats.Msg{Subject: l.msg.Subject, Data: l.msg.Data, Header: make(nats.Header, len(l.msg.Header)+3)}
		maps.Copy(msgs[i].Header, l.msg.Header)
	}
	if _, err := jetstreamext.PublishMsgBatch(ctx, s.o.Bus.JS, msgs, jetstreamext.BatchFlowControl{AckFirst: false}); err != nil {
		return false
	}
	for _, l := range group {
		l.done <- nil
	}
	return true
}

func awaitAck(ctx context.Context, ack jetstream.PubAckFuture) error {
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		if classified := Classify(err); errors.Is(classified, ErrConflict) {
			return classified
		}
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}
