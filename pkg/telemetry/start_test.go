package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/nurturehq/nurture/pkg/telemetry"
)

// start starts telemetry for one test and answers what it logs.
func start(t *testing.T, service string) (*telemetry.Telemetry, *bytes.Buffer, func(context.Context) error) {
	t.Helper()
	var out bytes.Buffer
	tel, shutdown, err := telemetry.Start(t.Context(), telemetry.Options{Service: service, Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		otel.SetTracerProvider(tracenoop.NewTracerProvider())
		otel.SetMeterProvider(metricnoop.NewMeterProvider())
	})
	return tel, &out, shutdown
}

func scrape(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	telemetry.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("/metrics answers %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestLinesInsideASpanCarryItsIds(t *testing.T) {
	tel, out, shutdown := start(t, "scoring")
	defer func() { _ = shutdown(context.Background()) }()
	ctx := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0xab}, SpanID: trace.SpanID{0xcd}, Remote: true,
	}))
	tel.Log.With("lead_id", "l1").InfoContext(ctx, "scored", "points", 3)
	tel.Log.Info("outside")
	tel.Log.Debug("too low")

	var inside, outside map[string]any
	lines := json.NewDecoder(out)
	if err := lines.Decode(&inside); err != nil {
		t.Fatal(err)
	}
	if err := lines.Decode(&outside); err != nil {
		t.Fatal(err)
	}
	if lines.More() {
		t.Error("a debug line was written")
	}
	for key, want := range map[string]any{
		"msg": "scored", "service": "scoring", "lead_id": "l1", "points": 3.0,
		"trace_id": "ab000000000000000000000000000000", "span_id": "cd00000000000000",
	} {
		if inside[key] != want {
			t.Errorf("%s = %v, want %v", key, inside[key], want)
		}
	}
	if _, ok := outside["trace_id"]; ok {
		t.Errorf("a line outside any span has a trace: %v", outside)
	}
}

func TestSeveralServicesShareOneRegistry(t *testing.T) {
	_, _, first := start(t, "ingest")
	_, _, second := start(t, "scoring")
	for range 2 {
		counter, err := otel.Meter("test").Int64Counter("nurture.captured", metric.WithUnit("{lead}"))
		if err != nil {
			t.Fatal(err)
		}
		counter.Add(t.Context(), 2)
	}
	text := scrape(t)
	if n := strings.Count(text, "\nnurture_captured_total 4\n"); n != 1 {
		t.Errorf("the counter is there %d times:\n%s", n, text)
	}
	for _, want := range []string{"\ngo_goroutines ", "\nprocess_resident_memory_bytes ", "\ntarget_info{"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not there once", want)
		}
	}
	if err := first(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(scrape(t), "nurture_captured_total") {
		t.Error("the metrics went away with the first service")
	}
	if err := second(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, _, again := start(t, "ingest")
	if strings.Contains(scrape(t), "nurture_captured_total") {
		t.Error("a new start shows old metrics")
	}
	if err := again(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestDurationsHaveFineBucketsAndStrangersMakeNoSeries(t *testing.T) {
	_, _, shutdown := start(t, "ingest")
	defer func() { _ = shutdown(context.Background()) }()
	seconds, err := otel.Meter("test").Float64Histogram("http.server.request.duration", metric.WithUnit("s"))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"a.example", "b.example"} {
		seconds.Record(t.Context(), 0.0007, metric.WithAttributes(
			attribute.String("server.address", host), attribute.String("http.route", "/v1/track")))
	}
	text := scrape(t)
	for _, want := range []string{
		`http_server_request_duration_seconds_bucket{http_route="/v1/track",le="0.0005"} 0`,
		`http_server_request_duration_seconds_bucket{http_route="/v1/track",le="0.001"} 2`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

func TestWithoutStartThereAreNoMetrics(t *testing.T) {
	w := httptest.NewRecorder()
	telemetry.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("answers %d", w.Code)
	}
}

// collector is an OTLP endpoint that remembers which signals reached it.
type collector struct {
	mu   sync.Mutex
	seen map[string]int
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[r.URL.Path]++
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestTheStandardVariablesTurnExportOn(t *testing.T) {
	for _, c := range []struct {
		what   string
		env    map[string]string
		traces bool
		logs   bool
	}{
		{"endpoint alone", nil, true, true},
		{"traces off", map[string]string{"OTEL_TRACES_EXPORTER": "none"}, false, true},
		{"all off", map[string]string{"OTEL_SDK_DISABLED": "true"}, false, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			got := &collector{seen: map[string]int{}}
			server := httptest.NewServer(got)
			defer server.Close()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			tel, _, shutdown := start(t, "campaign")
			ctx, span := telemetry.StartSend(t.Context(), "campaign")
			tel.Log.InfoContext(ctx, "sent")
			span.End()
			if err := shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			if on := got.seen["/v1/traces"] > 0; on != c.traces {
				t.Errorf("traces exported: %v", on)
			}
			if on := got.seen["/v1/logs"] > 0; on != c.logs {
				t.Errorf("logs exported: %v", on)
			}
			if on := got.seen["/v1/metrics"] > 0; on != c.logs {
				t.Errorf("metrics exported: %v", on)
			}
		})
	}
}

func TestTracesPassThroughWhileNoneAreRecorded(t *testing.T) {
	_, _, shutdown := start(t, "ingest")
	defer func() { _ = shutdown(context.Background()) }()
	in := propagation.MapCarrier{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	ctx := otel.GetTextMapPropagator().Extract(t.Context(), in)
	ctx, span := telemetry.StartConsume(ctx, "leads")
	defer span.End()
	out := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, out)
	if out["traceparent"] != in["traceparent"] {
		t.Errorf("passed on %q, want %q", out["traceparent"], in["traceparent"])
	}
}

func TestABadVariableIsNamed(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "carrier-pigeon")
	_, _, err := telemetry.Start(t.Context(), telemetry.Options{Service: "ingest", Level: slog.LevelInfo})
	if err == nil || !strings.Contains(err.Error(), "OTEL_TRACES_EXPORTER") {
		t.Errorf("got %v", err)
	}
}
