package rpc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/rpc"
)

func capture() *ingestv1.CaptureLeadRequest {
	return &ingestv1.CaptureLeadRequest{Source: "website", Profile: &leadv1.Profile{Email: "ann@example.com"}}
}

func TestRequestsThatBreakTheRulesNeverReachTheService(t *testing.T) {
	f := serve(t, &ingest{}, nil)
	_, err := f.client.CaptureLead(t.Context(), &ingestv1.CaptureLeadRequest{
		Source: "Web Site", ExternalId: strings.Repeat("x", 201), Profile: &leadv1.Profile{Employees: -1},
	})
	s := status.Convert(err)
	if s.Code() != codes.InvalidArgument {
		t.Fatalf("got %v", err)
	}
	var named []string
	for _, field := range rpc.FieldsOf(s) {
		named = append(named, field.Field)
		if field.Message == "" {
			t.Errorf("%s: no word of what is expected", field.Field)
		}
	}
	if diff := cmp.Diff([]string{"source", "external_id", "profile.employees"}, named); diff != "" {
		t.Error(diff)
	}
}

func TestAPanicIsOneFailedCallAndALogLineWithItsStack(t *testing.T) {
	f := serve(t, &ingest{}, nil)
	_, err := f.client.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: "panic"})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "a bug") {
		t.Errorf("got %v", err)
	}
	if logs := f.logs.String(); !strings.Contains(logs, "a bug") || !strings.Contains(logs, "GetLead") || !strings.Contains(logs, "rpc_test.go") {
		t.Errorf("logs: %s", logs)
	}
	if _, err := f.client.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: "known"}); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestWhatIsUnavailableIsAskedAgainWithinTheDeadline(t *testing.T) {
	var calls atomic.Int32
	f := serve(t, &ingest{capture: func(ctx context.Context, _ *ingestv1.CaptureLeadRequest) (*ingestv1.CaptureLeadResponse, error) {
		if calls.Add(1) < 3 {
			return nil, ledger.ErrUnavailable
		}
		end, ok := ctx.Deadline()
		if left := time.Until(end); !ok || left > rpc.DefaultDeadline {
			t.Errorf("the call has %v left", left)
		}
		return &ingestv1.CaptureLeadResponse{LeadId: "l1"}, nil
	}}, nil)
	resp, err := f.client.CaptureLead(t.Context(), capture())
	if err != nil || resp.GetLeadId() != "l1" || calls.Load() != 3 {
		t.Errorf("after %d calls: %v, %v", calls.Load(), resp, err)
	}
}

func TestOtherErrorsAreNotAskedAgain(t *testing.T) {
	var calls atomic.Int32
	f := serve(t, &ingest{capture: func(context.Context, *ingestv1.CaptureLeadRequest) (*ingestv1.CaptureLeadResponse, error) {
		calls.Add(1)
		return nil, errors.New("disk on fire")
	}}, nil)
	if _, err := f.client.CaptureLead(t.Context(), capture()); status.Code(err) != codes.Internal || calls.Load() != 1 {
		t.Errorf("after %d calls: %v", calls.Load(), err)
	}
	if !strings.Contains(f.logs.String(), "disk on fire") {
		t.Error("the cause is not in the log")
	}
}

func TestHealthFollowsReadiness(t *testing.T) {
	var trouble atomic.Bool
	f := serve(t, &ingest{}, func(o *rpc.ServeOptions) {
		o.Ready = func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("the look is not bounded")
			}
			if trouble.Load() {
				return errors.New("NATS is unreachable")
			}
			return nil
		}
	})
	health := healthv1.NewHealthClient(f.conn)
	for _, c := range []struct {
		trouble bool
		ready   int
		serving healthv1.HealthCheckResponse_ServingStatus
	}{
		{false, http.StatusOK, healthv1.HealthCheckResponse_SERVING},
		{true, http.StatusServiceUnavailable, healthv1.HealthCheckResponse_NOT_SERVING},
		{false, http.StatusOK, healthv1.HealthCheckResponse_SERVING},
	} {
		trouble.Store(c.trouble)
		resp, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{})
		if err != nil || resp.GetStatus() != c.serving {
			t.Errorf("trouble %v: gRPC says %v, %v", c.trouble, resp.GetStatus(), err)
		}
		if _, err := f.client.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: "known"}); err != nil {
			t.Errorf("trouble %v: clients turned away: %v", c.trouble, err)
		}
		got := f.do(t, http.MethodGet, "/readyz", "")
		if got.status != c.ready {
			t.Errorf("trouble %v: HTTP says %d", c.trouble, got.status)
		}
		if c.trouble && (got.problem.Detail != "NATS is unreachable" || got.header.Get("Retry-After") != "1") {
			t.Errorf("not ready, but why? %s", got.body)
		}
		if got := f.do(t, http.MethodGet, "/healthz", ""); got.status != http.StatusOK {
			t.Errorf("alive, but /healthz says %d", got.status)
		}
	}
}

func TestClientsThatComeWhileAServiceIsNotReadyStillReachIt(t *testing.T) {
	f := serve(t, &ingest{}, func(o *rpc.ServeOptions) {
		o.Ready = func(context.Context) error { return errors.New("still catching up") }
	})
	if _, err := f.client.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: "known"}); err != nil {
		t.Error(err)
	}
}

func TestReflectionListsTheServices(t *testing.T) {
	f := serve(t, &ingest{}, nil)
	stream, err := reflectionv1.NewServerReflectionClient(f.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range resp.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	if got := strings.Join(names, " "); !strings.Contains(got, "nurture.ingest.v1.IngestService") {
		t.Errorf("services: %s", got)
	}
}

func TestServeSaysWhatIsWrongWithItsOptions(t *testing.T) {
	good := func() rpc.ServeOptions {
		f := rpc.ServeOptions{}
		serve(t, &ingest{}, func(o *rpc.ServeOptions) { f = *o })
		f.GRPC, f.HTTP = listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
		return f
	}
	for _, c := range []struct {
		what   string
		change func(*rpc.ServeOptions)
		want   string
	}{
		{"no listener", func(o *rpc.ServeOptions) { o.GRPC = nil }, "need GRPC, HTTP, Log and Register"},
		{"a handler that cannot say no", func(o *rpc.ServeOptions) { o.Handler = http.NotFoundHandler() }, "must be an *http.ServeMux"},
		{"plaintext for the world", func(o *rpc.ServeOptions) { o.GRPC = listen(t, "0.0.0.0:0") }, "plaintext is for loopback only"},
		{"a listener that is closed", func(o *rpc.ServeOptions) { _ = o.HTTP.Close() }, "HTTP on 127.0.0.1"},
	} {
		t.Run(c.what, func(t *testing.T) {
			opts := good()
			c.change(&opts)
			if err := rpc.Serve(t.Context(), opts); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
