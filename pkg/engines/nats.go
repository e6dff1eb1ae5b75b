// Package engines starts the real engines inside the process: a NATS server
// with JetStream that fsyncs before it acknowledges, and a stand-in for Redis.
// Production connects to engines of its own; tests and `nurture run` need no set-up.
package engines

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// NATSOptions say where an embedded server keeps its data and listens.
type NATSOptions struct {
	// Dir holds the streams and is kept over restarts.
	Dir string
	// Port on loopback; -1 for any free one.
	Port int
	// MaxPayload in bytes. Default 1 MB, NATS's own.
	MaxPayload int32
}

// StartNATS starts an embedded server and returns when it takes connections.
func StartNATS(ctx context.Context, o NATSOptions) (*server.Server, error) {
	if err := portFree(ctx, o.Port); err != nil {
		return nil, err
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "nurture-embedded",
		Host:       "127.0.0.1",
		Port:       o.Port,
		JetStream:  true,
		StoreDir:   o.Dir,
		SyncAlways: true,
		NoSigs:     true,
		NoLog:      true,
		MaxPayload: o.MaxPayload,
		// Durable work is limited by fsync, not by these: leave room for many lanes.
		JetStreamMaxStore: -1,
	})
	if err != nil {
		return nil, fmt.Errorf("configure embedded NATS: %w", err)
	}
	srv.Start()
	if !srv.ReadyForConnections(30 * time.Second) {
		srv.Shutdown()
		return nil, fmt.Errorf("start embedded NATS in %s: not ready after 30 s (is another process using the directory?)", o.Dir)
	}
	return srv, nil
}

// portFree gives a clear answer before the server gives an unclear one.
func portFree(ctx context.Context, port int) error {
	if port <= 0 {
		return nil
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("start embedded NATS: %s is in use: %w", addr, errors.Unwrap(err))
	}
	return l.Close()
}

// StopNATS stops an embedded server and waits until its files are closed.
func StopNATS(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}
