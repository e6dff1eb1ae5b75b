package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Wipe overwrites on disk, and removes, every message of a subject, which may
// have wildcards, before a sequence, and says how many it were. Oldest first, so
// that what is left after a crash is the end of a history and not a part with
// holes. The message at the sequence stays: a removal alone is not to be relied
// on, what is on top of it is.
func (b *Bus) Wipe(ctx context.Context, stream, subject string, before uint64) (wiped uint64, err error) {
	s, err := b.JS.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("open stream %s: %w", stream, Classify(err))
	}
	for raw, err := range b.Read(ctx, stream, subject, 1) {
		if err != nil {
			return wiped, err
		}
		if raw.Sequence >= before {
			break
		}
		if err := WipeMsg(ctx, s, raw.Sequence); err != nil {
			return wiped, err
		}
		wiped++
	}
	return wiped, nil
}

// WipeMsg overwrites and removes one message; one that is not there is wiped.
func WipeMsg(ctx context.Context, s jetstream.Stream, seq uint64) error {
	err := s.SecureDeleteMsg(ctx, seq)
	if err == nil {
		return nil
	}
	if _, gone := s.GetMsg(ctx, seq); isAny(gone, jetstream.ErrMsgNotFound) {
		return nil
	}
	return fmt.Errorf("wipe message %d of %s: %w", seq, s.CachedInfo().Config.Name, Classify(err))
}
