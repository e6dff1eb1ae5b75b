package sender

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/nurturehq/nurture/pkg/bus"
)

const (
	// crossover is up to how many writes single publishes in a pipeline are
	// faster than one atomic batch.
	crossover = 64
	batchMax  = 1000
	// writers is how many groups of writes are on their way at once.
	writers = 2
)

// log writes claims and outcomes: whatever waits goes out together, each only
// if its subject has what the writer expects.
type log struct {
	js    jetstream.JetStream
	queue chan write
}

type write struct {
	msg  *nats.Msg
	done chan error
}

func newLog(js jetstream.JetStream) *log {
	return &log{js: js, queue: make(chan write, 4*batchMax)}
}

// run works until the queue is closed.
func (l *log) run(ctx context.Context) {
	for group := range bus.Batches(l.queue, batchMax) {
		l.commit(ctx, group)
	}
}

// put stores a message if its subject's last one has the sequence expected. The
// error is nil, bus.ErrConflict, or bus.ErrUnavailable when nobody knows.
func (l *log) put(ctx context.Context, msg *nats.Msg, expected uint64) error {
	w := write{msg: bus.ExpectLast(msg, expected), done: make(chan error, 1)}
	select {
	case l.queue <- w:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", bus.ErrUnavailable, ctx.Err())
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", bus.ErrUnavailable, ctx.Err())
	}
}

func (l *log) commit(ctx context.Context, group []write) {
	if len(group) > crossover && l.batch(ctx, group) {
		return
	}
	acks := make([]jetstream.PubAckFuture, len(group))
	for i, w := range group {
		var err error
		if acks[i], err = l.js.PublishMsgAsync(w.msg); err != nil {
			w.done <- bus.Classify(err)
		}
	}
	for i, w := range group {
		if acks[i] != nil {
			w.done <- await(ctx, acks[i])
		}
	}
}

// batch tries to store all at once. When one of them spoils it, or nobody knows
// whether it was stored, each is tried alone: a write that was stored after all
// then looks like a conflict, and whoever wrote it recognises it as his own.
func (l *log) batch(ctx context.Context, group []write) bool {
	msgs := make([]*nats.Msg, len(group))
	for i, w := range group {
		msgs[i] = copyOf(w.msg)
	}
	if _, err := jetstreamext.PublishMsgBatch(ctx, l.js, msgs, jetstreamext.BatchFlowControl{AckFirst: false}); err != nil {
		return false
	}
	for _, w := range group {
		w.done <- nil
	}
	return true
}

// copyOf spares the original the batch headers, which must not be sent twice.
func copyOf(msg *nats.Msg) *nats.Msg {
	h := make(nats.Header, len(msg.Header)+3)
	for k, v := range msg.Header {
		h[k] = v
	}
	return &nats.Msg{Subject: msg.Subject, Data: msg.Data, Header: h}
}

func await(ctx context.Context, ack jetstream.PubAckFuture) error {
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		if classified := bus.Classify(err); errors.Is(classified, bus.ErrConflict) {
			return classified
		}
		return fmt.Errorf("%w: %w", bus.ErrUnavailable, err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", bus.ErrUnavailable, ctx.Err())
	}
}
