package rpc

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// slow is an IngestService whose calls last until the test lets them go.
type slow struct {
	ingestv1.UnimplementedIngestServiceServer
	entered chan struct{}
	release chan struct{}
}

func (s *slow) GetLead(context.Context, *ingestv1.GetLeadRequest) (*ingestv1.GetLeadResponse, error) {
	s.entered <- struct{}{}
	<-s.release
	return &ingestv1.GetLeadResponse{}, nil
}

func (s *slow) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.entered <- struct{}{}
	<-s.release
	_, _ = w.Write([]byte("done"))
}

// begin serves s and puts one gRPC call and one request in flight; ended tells
// their errors.
func begin(t *testing.T, s *slow, patience time.Duration) (stop context.CancelFunc, done chan error, ended chan error, conn *grpc.ClientConn) {
	t.Helper()
	listen := func() net.Listener {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	mux := http.NewServeMux()
	mux.Handle("GET /slow", s)
	opts := ServeOptions{
		GRPC: listen(), HTTP: listen(), Log: slog.New(slog.DiscardHandler), Handler: mux,
		Register: func(srv *grpc.Server) { ingestv1.RegisterIngestServiceServer(srv, s) },
	}
	ctx, stop := context.WithCancel(context.Background())
	done, ended = make(chan error, 1), make(chan error, 2)
	go func() { done <- serve(ctx, opts, patience) }()
	conn, err := Dial(opts.GRPC.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = conn.Close() })
	go func() {
		_, err := ingestv1.NewIngestServiceClient(conn).GetLead(context.Background(), &ingestv1.GetLeadRequest{LeadId: "l"})
		ended <- err
	}()
	go func() {
		req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+opts.HTTP.Addr().String()+"/slow", nil)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		ended <- err
	}()
	<-s.entered
	<-s.entered
	return stop, done, ended, conn
}

func TestCallsInFlightFinishAndWatchersHearOfTheEnd(t *testing.T) {
	s := &slow{entered: make(chan struct{}, 8), release: make(chan struct{})}
	stop, done, ended, conn := begin(t, s, time.Minute)
	watch, err := healthv1.NewHealthClient(conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := watch.Recv(); err != nil || first.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("at first %v, %v", first, err)
	}
	stop()
	if next, err := watch.Recv(); err != nil || next.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("then %v, %v", next, err)
	}
	select {
	case err := <-done:
		t.Fatalf("Serve ended with calls in flight: %v", err)
	default:
	}
	close(s.release)
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("a call in flight: %v", err)
		}
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Serve goes on: a health watcher holds it")
	}
}

func TestCallsThatHangAreCutOff(t *testing.T) {
	s := &slow{entered: make(chan struct{}, 8), release: make(chan struct{})}
	stop, done, ended, _ := begin(t, s, 50*time.Millisecond)
	defer close(s.release)
	stop()
	var cut int
	for range 2 {
		if err := <-ended; err != nil {
			cut++
			if c := status.Code(err); c != codes.Unavailable && c != codes.Unknown {
				t.Errorf("cut off with %v", err)
			}
		}
	}
	if cut != 2 {
		t.Errorf("%d of 2 hanging calls were cut off", cut)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Serve waits for calls it cut off")
	}
}
