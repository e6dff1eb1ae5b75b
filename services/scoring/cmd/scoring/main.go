// Command scoring runs the service of that name by itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/config"
	"github.com/nurturehq/nurture/pkg/daemon"
	"github.com/nurturehq/nurture/pkg/engines"
	"github.com/nurturehq/nurture/pkg/rpc"
	"github.com/nurturehq/nurture/pkg/telemetry"

	"github.com/nurturehq/nurture/services/scoring"
)

// settings are everything this process can be told.
type settings struct {
	NATS     string         `yaml:"nats_url" help:"the log"`
	Monitor  string         `yaml:"nats_monitor_url" help:"its monitoring port, asked once whether the log is durable; empty: not asked"`
	Redis    string         `yaml:"redis_url" help:"the cache; empty: none"`
	HTTP     string         `yaml:"http_addr" help:"where HTTP is served"`
	GRPC     string         `yaml:"grpc_addr" help:"where gRPC is served"`
	Access   string         `yaml:"access" help:"file that says whose tokens open the API (NURTURE_ACCESS_FILE); empty: callers on this machine only"`
	LogLevel slog.Level     `yaml:"log_level" help:"debug, info, warn or error"`
	Scoring  scoring.Config `yaml:"scoring"`
}

func main() { os.Exit(daemon.Run(context.Background(), run)) }

func run(ctx context.Context) (err error) {
	set := settings{
		Access: os.Getenv("NURTURE_ACCESS_FILE"),
		NATS:   "nats://127.0.0.1:4222", Redis: "127.0.0.1:6379",
		HTTP: "127.0.0.1:8081", GRPC: "127.0.0.1:9081", Scoring: scoring.DefaultConfig(),
	}
	if err := config.Load(&set, config.Options{Args: os.Args[1:]}); err != nil {
		return err
	}
	var closers daemon.Closers
	defer closers.CloseInto(&err) //nolint:contextcheck // what is open is closed after ctx has ended, too

	tel, flush, err := telemetry.Start(ctx, telemetry.Options{Service: "scoring", Level: set.LogLevel, Out: os.Stdout})
	if err != nil {
		return err
	}
	closers.Add("telemetry", flush)

	deps := scoring.Deps{Log: tel.Log}
	if deps.Access, err = rpc.OpenAccess(rpc.AccessOptions{File: set.Access, Log: tel.Log}); err != nil {
		return err
	}
	if deps.Bus, err = bus.Connect(ctx, bus.Options{URL: set.NATS, MonitorURL: set.Monitor, Name: "scoring", Log: tel.Log}); err != nil {
		return err
	}
	closers.Add("bus", func(context.Context) error { deps.Bus.Close(); return nil })
	if err := deps.Bus.Declare(ctx); err != nil {
		return err
	}
	if set.Redis != "" {
		deps.Redis = engines.NewRedis(set.Redis)
		closers.Add("redis", func(context.Context) error { return deps.Redis.Close() })
	}
	if deps.HTTP, err = listen(ctx, set.HTTP, "http_addr"); err != nil {
		return err
	}
	if deps.GRPC, err = listen(ctx, set.GRPC, "grpc_addr"); err != nil {
		return errors.Join(err, deps.HTTP.Close())
	}
	svc, err := scoring.New(set.Scoring, deps)
	if err != nil {
		return errors.Join(err, deps.HTTP.Close(), deps.GRPC.Close())
	}
	return svc.Run(ctx)
}

func listen(ctx context.Context, addr, setting string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w (choose another address with %s)", err, setting)
	}
	return l, nil
}
