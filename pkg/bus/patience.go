package bus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// patience is how long a step of a start is tried.
	patience = 30 * time.Second
	// patiencePause is how long it waits before it is tried again.
	patiencePause = 250 * time.Millisecond
)

// Patiently takes a step of a process's start, and takes it again while its error
// is ErrUnavailable: a log that is young, or that many processes start at, may
// answer late. The step bounds each attempt itself, and may be taken twice. The
// error is the last attempt's, after 30 seconds, or at once when it is another
// one; it wraps ctx's when that has ended.
func Patiently(ctx context.Context, step func(ctx context.Context) error) error {
	over := time.After(patience)
	for {
		err := step(ctx)
		if !errors.Is(err, ErrUnavailable) {
			return err
		}
		select {
		case <-over:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(patiencePause):
		}
	}
}
