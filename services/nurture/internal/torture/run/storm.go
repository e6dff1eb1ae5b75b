package run

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// ambush lies in wait for a process to be in the worst place.
type ambush struct {
	mu    sync.Mutex
	armed map[string]func()
}

func newAmbush() *ambush { return &ambush{armed: map[string]func(){}} }

// set has strike called, once, when the process passes; the answer tells when
// it was.
func (a *ambush) set(name string, strike func()) (struck <-chan struct{}) {
	done := make(chan struct{})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.armed[name] = func() { strike(); close(done) }
	return done
}

// lift gives up; false when it is too late.
func (a *ambush) lift(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, waiting := a.armed[name]
	delete(a.armed, name)
	return waiting
}

// meet is called by the sinks between an arrival and its answer.
func (a *ambush) meet(name string) {
	a.mu.Lock()
	strike := a.armed[name]
	delete(a.armed, name)
	a.mu.Unlock()
	if strike != nil {
		strike()
	}
}

// ambushPatience is how long a process may avoid the worst place.
const ambushPatience = 5 * time.Second

// storm plays the people and deals the blows, each at its time. Blows at one
// process wait for each other.
func (r *run) storm(ctx context.Context) error {
	began := r.Now()
	r.load.Play(ctx, r.Plan.People, r.Plan.Pairs)
	var all errgroup.Group
	for _, b := range r.Plan.Blows {
		all.Go(func() error {
			if !sleep(ctx, b.At-r.Now().Sub(began)) {
				return ctx.Err()
			}
			defer r.turn(b)()
			return r.strike(ctx, b)
		})
	}
	return all.Wait()
}

// turn waits until nobody else strikes the target; the answer ends it.
func (r *run) turn(b torture.Blow) (end func()) {
	targets := []string{b.Target}
	if b.Way == torture.Dark {
		targets = append(targets, "redis") // always the last, so that no two wait for each other
	}
	for _, name := range targets {
		r.turns[name].Lock()
	}
	return func() {
		for _, name := range targets {
			r.turns[name].Unlock()
		}
	}
}

func (r *run) strike(ctx context.Context, b torture.Blow) error {
	switch b.Way {
	case torture.Flush:
		return r.flush(ctx)
	case torture.Freeze:
		return r.freeze(ctx, b)
	case torture.Restart:
		return r.restart(b)
	case torture.Mid:
		return r.waylay(ctx, b)
	case torture.Dark:
		return r.darken(ctx, b)
	default:
		return r.kill(ctx, b)
	}
}

func (r *run) note(name, way, sort string) error {
	service := torture.ServiceOf(name)
	return r.journal.Write(torture.Line{Op: torture.OpFault, ID: name, Who: service, Type: sort + "_" + service, Reason: way})
}

// kill ends a process that runs, and raises it after a while.
func (r *run) kill(ctx context.Context, b torture.Blow) error {
	if err := r.killed(ctx, b.Target, "kill"); err != nil {
		return err
	}
	return r.raise(ctx, b)
}

// killed waits for the process to run, and kills it.
func (r *run) killed(ctx context.Context, name, sort string) error {
	for {
		if r.fleet.Runs(name) {
			if err := r.note(name, "kill", sort); err != nil {
				return err
			}
			_, err := r.fleet.Kill(name)
			return err
		}
		if !sleep(ctx, 20*time.Millisecond) {
			return fmt.Errorf("wait for %s to run: %w", name, ctx.Err())
		}
	}
}

func (r *run) raise(ctx context.Context, b torture.Blow) error {
	sleep(ctx, b.Down)
	return r.fleet.Raise(b.Target)
}

// waylay kills a process between the arrival of what it sent and the answer.
func (r *run) waylay(ctx context.Context, b torture.Blow) error {
	var failed error
	struck := r.ambush.set(b.Target, func() { failed = r.killed(ctx, b.Target, "ambush") })
	timer := time.NewTimer(ambushPatience)
	defer timer.Stop()
	select {
	case <-struck:
	case <-timer.C:
		if r.ambush.lift(b.Target) {
			return r.kill(ctx, b)
		}
		<-struck
	case <-ctx.Done():
		return ctx.Err()
	}
	if failed != nil {
		return failed
	}
	return r.raise(ctx, b)
}

// stopPatience is how long a process may take to end when it is asked to.
const stopPatience = 25 * time.Second

// restart asks a process to end and starts it again.
func (r *run) restart(b torture.Blow) error {
	if err := r.note(b.Target, "restart", "restart"); err != nil {
		return err
	}
	gently, err := r.fleet.Restart(b.Target, stopPatience)
	if !gently {
		r.stubborn.Store(b.Target, true)
	}
	return err
}

// darken kills a process while Redis is down: what it knew about the cache is
// gone with it, and the cache comes back as it was.
func (r *run) darken(ctx context.Context, b torture.Blow) error {
	redisDown := torture.Blow{Target: "redis", Down: 0}
	if err := r.killed(ctx, "redis", "kill"); err != nil {
		return err
	}
	sleep(ctx, 400*time.Millisecond+b.Down)
	if err := r.killed(ctx, b.Target, "dark"); err != nil {
		return err
	}
	if err := r.raise(ctx, redisDown); err != nil {
		return err
	}
	return r.raise(ctx, b)
}

func (r *run) flush(ctx context.Context) error {
	if err := r.note("redis", "flush", "flush"); err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: r.place.Redis, MaxRetries: 10})
	defer client.Close()
	if err := client.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("flush redis: %w", err)
	}
	return nil
}

// freeze stops Redis from answering without ending it.
func (r *run) freeze(ctx context.Context, b torture.Blow) error {
	if err := r.note(b.Target, "freeze", "freeze"); err != nil {
		return err
	}
	if err := r.fleet.Signal(b.Target, syscall.SIGSTOP); err != nil {
		return err
	}
	sleep(ctx, 2*time.Second+b.Down)
	return r.fleet.Signal(b.Target, syscall.SIGCONT)
}

// sleep waits; false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
