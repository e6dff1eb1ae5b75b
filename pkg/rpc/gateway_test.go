package rpc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/rpc"
)

// answering is an ingest whose CaptureLead always answers the same.
func answering(resp *ingestv1.CaptureLeadResponse, err error) *ingest {
	return &ingest{capture: func(context.Context, *ingestv1.CaptureLeadRequest) (*ingestv1.CaptureLeadResponse, error) {
		return resp, err
	}}
}

const lead = `{"source":"website","profile":{"email":"ann@example.com"}}`

func TestRESTHasTheNamesOfTheProtoAndEveryField(t *testing.T) {
	f := serve(t, answering(&ingestv1.CaptureLeadResponse{LeadId: "l1", Created: true}, nil), nil)
	got := f.do(t, http.MethodPost, "/v1/leads", lead)
	body := strings.ReplaceAll(got.body, " ", "")
	if got.status != http.StatusOK || body != `{"lead_id":"l1","created":true,"duplicate":false}` {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestEveryErrorOverHTTPIsAProblemDocument(t *testing.T) {
	busy := errors.New("too many submissions from this source")
	for _, c := range []struct {
		what         string
		err          error
		method, path string
		body         string
		status       int
		code         string
		detail       string
		retry        string
		fields       []string
	}{
		{"broken rules", nil, "POST", "/v1/leads", `{"source":"Web Site","profile":{"employees":"-1"}}`, 400, "INVALID_ARGUMENT", "source: ", "", []string{"source", "profile.employees"}},
		{"unknown field", nil, "POST", "/v1/leads", `{"sauce":"x"}`, 400, "INVALID_ARGUMENT", `unknown field "sauce"`, "", nil},
		{"wrong type", nil, "POST", "/v1/leads", `{"profile":{"employees":"many"}}`, 400, "INVALID_ARGUMENT", `invalid value for int64 field employees: "many"`, "", nil},
		{"no JSON", nil, "POST", "/v1/leads", `email=x`, 400, "INVALID_ARGUMENT", "looking for beginning of value", "", nil},
		{"not found", nil, "GET", "/v1/leads/nobody", "", 404, "NOT_FOUND", "lead not found", "", nil},
		{"no such route", nil, "GET", "/v1/nothing", "", 404, "", "there is no GET /v1/nothing", "", nil},
		{"no such method", nil, "DELETE", "/v1/leads", "", 405, "", "there is no DELETE /v1/leads", "", nil},
		{"too large", nil, "POST", "/v1/leads", `{"source":"` + strings.Repeat("x", rpc.MaxBody) + `"}`, 413, "", "at most 1048576 bytes", "", nil},
		{"panic", nil, "GET", "/v1/leads/panic", "", 500, "INTERNAL", "internal error", "", nil},
		{"unforeseen", errors.New("secret"), "POST", "/v1/leads", lead, 500, "INTERNAL", "internal error", "", nil},
		{"not now", rpc.Mark(errors.New("not assigned"), codes.FailedPrecondition), "POST", "/v1/leads", lead, 409, "FAILED_PRECONDITION", "not assigned", "", nil},
		{"log unavailable", ledger.ErrUnavailable, "POST", "/v1/leads", lead, 503, "UNAVAILABLE", "log unavailable", "1", nil},
		{"too many", rpc.RetryAfter(busy, codes.ResourceExhausted, 1500*time.Millisecond), "POST", "/v1/leads", lead, 429, "RESOURCE_EXHAUSTED", busy.Error(), "2", nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := serve(t, answering(nil, c.err), nil)
			got := f.do(t, c.method, c.path, c.body)
			if got.status != c.status || got.problem.Code != c.code || !strings.Contains(got.problem.Detail, c.detail) {
				t.Errorf("%d %s\nwant %d %s %s", got.status, got.body, c.status, c.code, c.detail)
			}
			if retry := got.header.Get("Retry-After"); retry != c.retry {
				t.Errorf("Retry-After %q, want %q", retry, c.retry)
			}
			var named []string
			for _, field := range got.problem.Fields {
				named = append(named, field.Field)
			}
			if diff := cmp.Diff(c.fields, named); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheServicesOwnRoutesComeBeforeTheGateway(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/forms/{source}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "form "+r.PathValue("source"))
	})
	mux.HandleFunc("POST /v1/bad", func(w http.ResponseWriter, r *http.Request) {
		rpc.WriteError(w, r, rpc.Invalid(rpc.Field{Field: "email", Message: "must be an address"}))
	})
	mux.HandleFunc("POST /v1/bug", func(http.ResponseWriter, *http.Request) { panic("a bug") })
	mux.HandleFunc("POST /v1/big", func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 3))
		rpc.WriteError(w, r, err)
	})
	mux.HandleFunc("GET /v1/leads/mine", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "mine") })
	f := serve(t, &ingest{}, func(o *rpc.ServeOptions) { o.Handler = mux })

	if got := f.do(t, http.MethodPost, "/v1/forms/website", ""); got.body != "form website" {
		t.Errorf("form: %d %s", got.status, got.body)
	}
	if got := f.do(t, http.MethodGet, "/v1/leads/mine", ""); got.body != "mine" {
		t.Errorf("own route: %d %s", got.status, got.body)
	}
	if got := f.do(t, http.MethodGet, "/v1/leads/known", ""); got.status != http.StatusOK {
		t.Errorf("gateway: %d %s", got.status, got.body)
	}
	got := f.do(t, http.MethodPost, "/v1/bad", "")
	if diff := cmp.Diff([]rpc.Field{{Field: "email", Message: "must be an address"}}, got.problem.Fields); got.status != 400 || diff != "" {
		t.Errorf("%d %s", got.status, diff)
	}
	if got := f.do(t, http.MethodPost, "/v1/bug", ""); got.status != 500 || !strings.Contains(f.logs.String(), "a bug") {
		t.Errorf("bug: %d %s", got.status, got.body)
	}
	if got := f.do(t, http.MethodPost, "/v1/big", "long"); got.status != 413 || got.problem.Detail != "the request body may have at most 3 bytes" {
		t.Errorf("big: %d %s", got.status, got.body)
	}
}

func TestPagesOfOtherSitesCannotUseABrowserToChangeThings(t *testing.T) {
	f := serve(t, answering(&ingestv1.CaptureLeadResponse{}, nil), nil)
	if got := f.do(t, http.MethodPost, "/v1/leads", lead, "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden || got.problem.Detail == "" {
		t.Errorf("cross-site: %d %s", got.status, got.body)
	}
	if got := f.do(t, http.MethodPost, "/v1/leads", lead, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusOK {
		t.Errorf("same-origin: %d", got.status)
	}
}

func TestOneTraceLeadsFromHTTPToTheService(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracers, propagator := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
	otel.SetTextMapPropagator(propagation.TraceContext{})
	t.Cleanup(func() { otel.SetTracerProvider(tracers); otel.SetTextMapPropagator(propagator) })

	f := serve(t, answering(&ingestv1.CaptureLeadResponse{}, nil), nil)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	f.do(t, http.MethodPost, "/v1/leads", lead, "traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	problem := f.do(t, http.MethodGet, "/v1/leads/nobody", "", "traceparent", "00-"+trace+"-b7ad6b7169203331-01").problem
	if problem.TraceID != trace {
		t.Errorf("the problem names trace %q", problem.TraceID)
	}
	f.do(t, http.MethodGet, "/healthz", "")
	f.do(t, http.MethodGet, "/metrics", "")

	names := map[string]int{}
	eventually(t, "four spans", func() bool { return len(recorder.Ended()) >= 4 })
	for _, span := range recorder.Ended() {
		if got := span.SpanContext().TraceID().String(); got != trace {
			t.Errorf("%s is in trace %s", span.Name(), got)
		}
		names[span.Name()]++
	}
	if diff := cmp.Diff(map[string]int{
		"POST /v1/leads": 1, "nurture.ingest.v1.IngestService/CaptureLead": 1,
		"GET /v1/leads/{lead_id}": 1, "nurture.ingest.v1.IngestService/GetLead": 1,
	}, names); diff != "" {
		t.Error(diff)
	}
}
