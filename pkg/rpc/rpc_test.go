package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/rpc"
)

// ingest is the IngestService with the answers a test needs.
type ingest struct {
	ingestv1.UnimplementedIngestServiceServer
	capture func(context.Context, *ingestv1.CaptureLeadRequest) (*ingestv1.CaptureLeadResponse, error)
}

func (s *ingest) CaptureLead(ctx context.Context, req *ingestv1.CaptureLeadRequest) (*ingestv1.CaptureLeadResponse, error) {
	return s.capture(ctx, req)
}

func (s *ingest) GetLead(_ context.Context, req *ingestv1.GetLeadRequest) (*ingestv1.GetLeadResponse, error) {
	switch req.GetLeadId() {
	case "known":
		return &ingestv1.GetLeadResponse{Lead: &leadv1.Lead{LeadId: "known", Source: "website"}}, nil
	case "panic":
		panic("a bug")
	}
	return nil, ledger.ErrNotFound
}

// front is a served service under test.
type front struct {
	client ingestv1.IngestServiceClient
	conn   *grpc.ClientConn
	grpc   string
	url    string
	logs   *lines
	stop   context.CancelFunc
	done   chan error
}

// lines are log lines that two goroutines may look at.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serve serves an ingest service on loopback; change may adjust the options.
func serve(t *testing.T, service *ingest, change func(*rpc.ServeOptions)) *front {
	t.Helper()
	f := &front{logs: &lines{}, done: make(chan error, 1)}
	opts := rpc.ServeOptions{
		GRPC: listen(t, "127.0.0.1:0"), HTTP: listen(t, "127.0.0.1:0"),
		Log:      slog.New(slog.NewJSONHandler(f.logs, nil)),
		Register: func(s *grpc.Server) { ingestv1.RegisterIngestServiceServer(s, service) },
		Gateway: []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
			ingestv1.RegisterIngestServiceHandler,
		},
	}
	if change != nil {
		change(&opts)
	}
	f.grpc, f.url = opts.GRPC.Addr().String(), "http://"+opts.HTTP.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	go func() { f.done <- rpc.Serve(ctx, opts) }()
	t.Cleanup(stop)
	f.conn = dial(t, strings.Replace(f.grpc, "127.0.0.1", "localhost", 1))
	f.client = ingestv1.NewIngestServiceClient(f.conn)
	return f
}

func dial(t *testing.T, target string) *grpc.ClientConn {
	t.Helper()
	conn, err := rpc.Dial(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// answer is an HTTP response that was read.
type answer struct {
	status  int
	header  http.Header
	body    string
	problem rpc.Problem
}

func (f *front) do(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{status: resp.StatusCode, header: resp.Header, body: string(raw)}
	if resp.Header.Get("Content-Type") == "application/problem+json" {
		if err := json.Unmarshal(raw, &got.problem); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if got.problem.Status != got.status || got.problem.Type != "about:blank" || got.problem.Title == "" {
			t.Errorf("incomplete problem: %s", raw)
		}
	}
	return got
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never: " + what)
		}
	}
}
