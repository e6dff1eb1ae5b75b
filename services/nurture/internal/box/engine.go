package box

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/engines"
)

// openEngines starts NATS and Redis here, or connects to those that are named.
func (b *Box) openEngines(ctx context.Context) error {
	srv, err := b.startNATS(ctx)
	if err != nil {
		return err
	}
	b.Bus, err = bus.Connect(ctx, bus.Options{
		URL: b.natsURL, Name: "nurture", Log: b.opts.Log, Server: srv, MonitorURL: b.opts.MonitorURL,
	})
	if err != nil {
		return err
	}
	b.open.Add("bus", func(context.Context) error { b.Bus.Close(); return nil })
	if err := bus.Patiently(ctx, b.Bus.Declare); err != nil {
		return err
	}
	return b.openRedis(ctx)
}

// startNATS starts the embedded server; nil when a running one is named.
func (b *Box) startNATS(ctx context.Context) (*server.Server, error) {
	if b.opts.NATSURL != "" {
		b.natsURL = b.opts.NATSURL
		return nil, nil //nolint:nilnil // no embedded server is a valid answer
	}
	srv, err := engines.StartNATS(ctx, engines.NATSOptions{Dir: filepath.Join(b.opts.Data, "nats"), Port: b.opts.NATSPort})
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the embedded NATS cannot listen on 127.0.0.1:%d: the port is in use; stop the other program, choose another port with --nats-port, or use that server with NATS_URL", b.opts.NATSPort)
	}
	if err != nil {
		return nil, err
	}
	b.open.Add("embedded NATS", func(context.Context) error { engines.StopNATS(srv); return nil })
	b.natsURL = srv.ClientURL()
	return srv, nil
}

func (b *Box) openRedis(ctx context.Context) error {
	addr := b.opts.RedisURL
	if addr == "" {
		own, stop, err := engines.StartRedis()
		if err != nil {
			return err
		}
		b.open.Add("embedded Redis", func(context.Context) error { stop(); return nil })
		addr = own
	}
	b.redis = engines.NewRedis(addr)
	b.open.Add("redis", func(context.Context) error { return b.redis.Close() })
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := b.redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reach Redis at %s: %w; start it, set REDIS_URL, or leave REDIS_URL empty to use the embedded one", addr, err)
	}
	return nil
}

// FlushRedis empties the cache, which must change no answer.
func (b *Box) FlushRedis(ctx context.Context) error {
	if err := b.redis.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("empty Redis: %w", err)
	}
	return nil
}
