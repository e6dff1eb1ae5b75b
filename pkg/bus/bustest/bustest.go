// Package bustest gives tests a real log: an embedded NATS server that fsyncs,
// in a temporary directory, with all streams declared.
package bustest

import (
	"log/slog"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/engines"
)

// New starts a server for this test alone and connects to it.
func New(tb testing.TB) *bus.Bus {
	tb.Helper()
	return Connect(tb, Server(tb))
}

// Server starts a server on a free loopback port in a temporary directory.
func Server(tb testing.TB) *server.Server {
	tb.Helper()
	srv, err := engines.StartNATS(tb.Context(), engines.NATSOptions{Dir: tb.TempDir(), Port: -1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { engines.StopNATS(srv) })
	return srv
}

// Connect opens one more connection to a server, with the streams declared.
func Connect(tb testing.TB, srv *server.Server) *bus.Bus {
	tb.Helper()
	b, err := bus.Connect(tb.Context(), bus.Options{Name: tb.Name(), Server: srv, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	if err := b.Declare(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return b
}
