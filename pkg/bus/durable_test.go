package bus_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
)

// A server that acknowledges before it has written to disk loses what was
// accepted in a power cut. Nobody notices that by running it, so it is asked.
func TestAServerThatDoesNotFsyncIsCalledOut(t *testing.T) {
	t.Parallel()
	const alarm, unknown = "THE LOG IS NOT DURABLE", "durability of the log"
	lax, strict := serverWith(t, false), serverWith(t, true)
	for name, tt := range map[string]struct {
		options bus.Options
		want    string
	}{
		"ours":                        {bus.Options{Server: bustest.Server(t)}, ""},
		"embedded, lax":               {bus.Options{Server: lax}, alarm},
		"asked over HTTP, strict":     {bus.Options{URL: strict.ClientURL(), MonitorURL: monitor(strict)}, ""},
		"asked over HTTP, lax":        {bus.Options{URL: lax.ClientURL(), MonitorURL: monitor(lax)}, alarm},
		"nobody to ask":               {bus.Options{URL: strict.ClientURL()}, unknown},
		"the one to ask is not there": {bus.Options{URL: strict.ClientURL(), MonitorURL: "http://127.0.0.1:1"}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said bytes.Buffer
			tt.options.Name, tt.options.Log = t.Name(), slog.New(slog.NewTextHandler(&said, nil))
			b, err := bus.Connect(t.Context(), tt.options)
			if err != nil {
				t.Fatal(err)
			}
			b.Close()
			if got := said.String(); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("said %q, want %q", got, tt.want)
			}
		})
	}
}

// serverWith starts a NATS server that has a monitoring port.
func serverWith(t *testing.T, syncAlways bool) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, HTTPHost: "127.0.0.1", HTTPPort: -1,
		JetStream: true, StoreDir: t.TempDir(), SyncAlways: syncAlways, NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server did not start")
	}
	return srv
}

func monitor(srv *server.Server) string { return fmt.Sprintf("http://%s", srv.MonitorAddr()) }
