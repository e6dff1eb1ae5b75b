// Package standalone is what the binaries of the services have in common: the
// settings of a process that runs one service, and what it opens and closes for it.
package standalone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/daemon"
	"github.com/nurturehq/nurture/pkg/engines"
	"github.com/nurturehq/nurture/pkg/rpc"
	"github.com/nurturehq/nurture/pkg/telemetry"
)

// Settings are what every service's process can be told. Services put them inline
// into their own.
type Settings struct {
	NATS     string     `yaml:"nats_url" help:"the log"`
	Monitor  string     `yaml:"nats_monitor_url" help:"its monitoring port, asked once whether the log is durable; empty: not asked"`
	Redis    string     `yaml:"redis_url" help:"the cache; empty: none"`
	HTTP     string     `yaml:"http_addr" help:"where HTTP is served"`
	GRPC     string     `yaml:"grpc_addr" help:"where gRPC is served"`
	Access   string     `yaml:"access" help:"file that says whose tokens open the API (NURTURE_ACCESS_FILE); empty: callers on this machine only"`
	LogLevel slog.Level `yaml:"log_level" help:"debug, info, warn or error"`
}

// Defaults are engines on this machine, and the addresses to be served.
func Defaults(http, grpc string) Settings {
	return Settings{
		NATS: "nats://127.0.0.1:4222", Redis: "127.0.0.1:6379", HTTP: http, GRPC: grpc,
		Access: os.Getenv("NURTURE_ACCESS_FILE"),
	}
}

// Process is what a service works with.
type Process struct {
	Log    *slog.Logger
	Access *rpc.Access
	Bus    *bus.Bus
	// Redis is nil without a cache.
	Redis redis.UniversalClient
	// HTTP and GRPC are open; the service closes them.
	HTTP, GRPC net.Listener

	open daemon.Closers
}

// Run opens everything for the service of that name, lets it work, and closes
// everything again, last opened first.
func Run(ctx context.Context, service string, set Settings, work func(*Process) error) (err error) {
	p := &Process{}
	defer p.open.CloseInto(&err) //nolint:contextcheck // closing goes on after ctx has ended
	if err := p.start(ctx, service, set); err != nil {
		return err
	}
	return work(p)
}

func (p *Process) start(ctx context.Context, service string, set Settings) error {
	tel, flush, err := telemetry.Start(ctx, telemetry.Options{Service: service, Level: set.LogLevel, Out: os.Stdout})
	if err != nil {
		return err
	}
	p.open.Add("telemetry", flush)
	p.Log = tel.Log
	if p.Access, err = rpc.OpenAccess(rpc.AccessOptions{File: set.Access, Log: p.Log}); err != nil {
		return err
	}
	if err := p.connect(ctx, service, set); err != nil {
		return err
	}
	if p.HTTP, err = p.Listen(ctx, set.HTTP, "http_addr"); err != nil {
		return err
	}
	p.GRPC, err = p.Listen(ctx, set.GRPC, "grpc_addr")
	return err
}

// connect opens the log and the cache.
func (p *Process) connect(ctx context.Context, service string, set Settings) (err error) {
	if p.Bus, err = bus.Connect(ctx, bus.Options{URL: set.NATS, MonitorURL: set.Monitor, Name: service, Log: p.Log}); err != nil {
		return err
	}
	p.open.Add("bus", func(context.Context) error { p.Bus.Close(); return nil })
	if set.Redis != "" {
		p.Redis = engines.NewRedis(set.Redis)
		p.open.Add("redis", func(context.Context) error { return p.Redis.Close() })
	}
	return bus.Patiently(ctx, p.Bus.Declare)
}

// Dial opens a connection to another service.
func (p *Process) Dial(service, addr string) (*grpc.ClientConn, error) {
	conn, err := rpc.Dial(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", service, err)
	}
	p.open.Add("connection to "+service, func(context.Context) error { return conn.Close() })
	return conn, nil
}

// Listen opens a listener. The error names the setting that says where.
func (p *Process) Listen(ctx context.Context, addr, setting string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w (choose another address with %s)", err, setting)
	}
	p.open.Add(setting, func(context.Context) error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) { // the service did, if it came to run
			return err
		}
		return nil
	})
	return l, nil
}
