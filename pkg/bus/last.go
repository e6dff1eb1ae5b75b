package bus

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// pendingHeader says on each message of an answer how many are still to come.
const pendingHeader = "Nats-Num-Pending"

// LastMsgs reads the last messages of many subjects, at most 1024, from the
// stream itself. A subject without one is not in the answer. The answer is whole
// or there is an error: silence of the server is ErrUnavailable and never "there
// is nothing", which is what the iterator underneath makes of it.
func (b *Bus) LastMsgs(ctx context.Context, stream string, subjects []string) (map[string]*jetstream.RawStreamMsg, error) {
	found := make(map[string]*jetstream.RawStreamMsg, len(subjects))
	for rest := subjects; len(rest) > 0; rest = without(rest, found) {
		before := len(found)
		whole, err := b.lastMsgs(ctx, stream, rest, found)
		if err != nil {
			return nil, err
		}
		if whole {
			break
		}
		if len(found) == before {
			return nil, fmt.Errorf("read %d subjects of %s: no answer: %w", len(rest), stream, ErrUnavailable)
		}
	}
	return found, nil
}

// lastMsgs adds one answer to what was found; whole tells that nothing is missing.
func (b *Bus) lastMsgs(ctx context.Context, stream string, subjects []string, found map[string]*jetstream.RawStreamMsg) (whole bool, err error) {
	msgs, err := jetstreamext.GetLastMsgsFor(ctx, b.JS, stream, subjects)
	if err != nil {
		return false, fmt.Errorf("read %d subjects of %s: %w", len(subjects), stream, Classify(err))
	}
	for msg, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) || errors.Is(err, jetstream.ErrMsgNotFound) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read %d subjects of %s: %w", len(subjects), stream, Classify(err))
		}
		found[msg.Subject] = msg
		whole = msg.Header.Get(pendingHeader) == "0"
	}
	return whole, nil
}

// without leaves out the subjects that were found.
func without(subjects []string, found map[string]*jetstream.RawStreamMsg) []string {
	rest := make([]string, 0, len(subjects)-min(len(found), len(subjects)))
	for _, s := range subjects {
		if found[s] == nil {
			rest = append(rest, s)
		}
	}
	return rest
}

// readBatch is how many messages one read of a subject's history asks for.
const readBatch = 256

// Read yields the messages of a subject, which may have wildcards, from a
// sequence on, in order, as they are in the stream when they are read. It ends
// with an error when the server does not answer.
func (b *Bus) Read(ctx context.Context, stream, subject string, from uint64) iter.Seq2[*jetstream.RawStreamMsg, error] {
	return func(yield func(*jetstream.RawStreamMsg, error) bool) {
		for next := max(from, 1); ; {
			msgs, whole, err := b.readSome(ctx, stream, subject, next)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, m := range msgs {
				if !yield(m, nil) {
					return
				}
				next = m.Sequence + 1
			}
			if whole {
				return
			}
		}
	}
}

// readSome reads one batch; whole tells that nothing comes after it.
func (b *Bus) readSome(ctx context.Context, stream, subject string, from uint64) (found []*jetstream.RawStreamMsg, whole bool, err error) {
	msgs, err := jetstreamext.GetBatch(ctx, b.JS, stream, readBatch, jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchSubject(subject))
	if err != nil {
		return nil, false, fmt.Errorf("read %s of %s: %w", subject, stream, Classify(err))
	}
	for msg, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) || errors.Is(err, jetstream.ErrMsgNotFound) {
			return found, true, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("read %s of %s: %w", subject, stream, Classify(err))
		}
		found = append(found, msg)
		whole = msg.Header.Get(pendingHeader) == "0"
	}
	if len(found) == 0 {
		return nil, false, fmt.Errorf("read %s of %s: no answer: %w", subject, stream, ErrUnavailable)
	}
	return found, whole, nil
}
