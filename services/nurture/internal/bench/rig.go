// Package bench measures the platform against the limit of its engine: every
// figure stands beside the raw work of the same size, measured in the same run
// on the same machine, so that the ratios mean something where seconds do not.
package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/engines"
)

// Line is one result.
type Line struct {
	Name  string
	Value float64
	Unit  string
}

// String is the line as it is printed: name value unit.
func (l Line) String() string {
	return fmt.Sprintf("%-28s %12s %s", l.Name, strings.TrimSuffix(fmt.Sprintf("%.2f", l.Value), ".00"), l.Unit)
}

// rig is one set of fresh engines in a temporary directory.
type rig struct {
	dir   string
	srv   *server.Server
	bus   *bus.Bus
	redis redis.UniversalClient
	log   *slog.Logger
	stops []func()
}

// newRig starts a NATS server that fsyncs and the embedded Redis.
func newRig(ctx context.Context) (r *rig, err error) {
	r = &rig{log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.dir, err = os.MkdirTemp("", "nurture-bench-"); err != nil {
		return r, fmt.Errorf("make a directory for the bench: %w", err)
	}
	r.onClose(func() { _ = os.RemoveAll(r.dir) })
	if r.srv, err = engines.StartNATS(ctx, engines.NATSOptions{Dir: filepath.Join(r.dir, "nats"), Port: -1}); err != nil {
		return r, err
	}
	r.onClose(func() { engines.StopNATS(r.srv) })
	if r.bus, err = r.connect(ctx, "bench"); err != nil {
		return r, err
	}
	if err := r.bus.Declare(ctx); err != nil {
		return r, err
	}
	addr, stop, err := engines.StartRedis()
	if err != nil {
		return r, err
	}
	r.onClose(stop)
	r.redis = engines.NewRedis(addr)
	r.onClose(func() { _ = r.redis.Close() })
	return r, nil
}

// connect opens a connection of its own, as every service has one.
func (r *rig) connect(ctx context.Context, name string) (*bus.Bus, error) {
	b, err := bus.Connect(ctx, bus.Options{Name: name, Server: r.srv, Log: r.log})
	if err != nil {
		return nil, err
	}
	r.onClose(b.Close)
	return b, nil
}

func (r *rig) onClose(f func()) { r.stops = append(r.stops, f) }

func (r *rig) close() {
	for i := len(r.stops) - 1; i >= 0; i-- {
		r.stops[i]()
	}
}

// listen opens a free port of loopback.
func listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the bench: %w", err)
	}
	return l, nil
}

// background runs a service until the rig is closed.
func (r *rig) background(ctx context.Context, name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			r.log.Error("service ended", "service", name, "error", err)
		}
	}()
	r.onClose(func() {
		cancel()
		<-done
	})
}

// until polls a condition for up to two minutes.
func until(ctx context.Context, what string, ok func() (bool, error)) error {
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := ok()
		if err != nil || done {
			return err
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("still not so after two minutes: %s", what)
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		}
	}
}
