package box

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// phase is one part of the process: it runs until its context ends.
type phase struct {
	name string
	run  func(ctx context.Context) error
}

// runPhases starts all phases and waits. When ctx ends, or when one phase ends
// by itself, it stops them one by one, the last started first, each only after
// the one before has drained.
func runPhases(ctx context.Context, phases []phase) error {
	runs := make([]*running, len(phases))
	ended := make(chan int, len(phases))
	for i, p := range phases {
		runs[i] = start(ctx, p, func() { ended <- i })
	}
	var early error
	select {
	case <-ctx.Done():
	case i := <-ended:
		early = runs[i].unexpected()
	}
	var errs []error
	for i := len(runs) - 1; i >= 0; i-- {
		errs = append(errs, runs[i].stop())
	}
	if early != nil {
		return early
	}
	return errors.Join(errs...)
}

// running is a phase under way. Its context outlives the process's until stop.
type running struct {
	phase
	cancel context.CancelFunc
	done   sync.WaitGroup
	err    error
}

func start(ctx context.Context, p phase, ended func()) *running {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{phase: p, cancel: cancel}
	r.done.Go(func() {
		defer ended()
		r.err = p.run(ctx)
	})
	return r
}

func (r *running) stop() error {
	r.cancel()
	r.done.Wait()
	if r.err != nil && !errors.Is(r.err, context.Canceled) {
		return fmt.Errorf("%s: %w", r.name, r.err)
	}
	return nil
}

// unexpected is the error of a phase that ended before it was told to.
func (r *running) unexpected() error {
	r.done.Wait()
	if r.err == nil {
		return fmt.Errorf("%s ended by itself", r.name)
	}
	return fmt.Errorf("%s: %w", r.name, r.err)
}
