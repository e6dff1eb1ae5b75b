package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/nurturehq/nurture/services/nurture/internal/box"
)

const browserTrace = "0af7651916cd43dd8448eb211c80319c"

// TestOneTraceLeadsFromTheFormToTheCRM follows a demo request through every hop:
// the form's POST, ingest's record, scoring, handoff, the questions handoff asks
// over gRPC, and the signed webhook.
func TestOneTraceLeadsFromTheFormToTheCRM(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	before, beforeText := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	t.Cleanup(func() {
		otel.SetTracerProvider(before)
		otel.SetTextMapPropagator(beforeText)
		_ = provider.Shutdown(context.Background())
	})
	b, err := box.Open(t.Context(), box.Options{
		Data: t.TempDir(), Config: example(t), NATSPort: -1, Doors: box.AnyDoors(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	askForDemo(t, b.URL(box.IngestHTTP))
	want := []string{
		"server POST /v1/forms", "consumer process ingest", "consumer process scoring", "consumer process handoff",
		"client nurture.scoring.v1.ScoringService/ExplainScore", "server nurture.scoring.v1.ScoringService/ExplainScore",
		"client deliver com.nurture.handoff.assigned", "consumer process campaign",
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		names := namesOf(spans, browserTrace)
		missing := slices.DeleteFunc(slices.Clone(want), func(hop string) bool { return hasHop(names, hop) })
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("hops %v are not in the trace, which has %q", missing, names)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func askForDemo(t *testing.T, base string) {
	t.Helper()
	form := url.Values{"form": {"demo"}, "email": {"robin@acme.example"}, "consent_marketing_email": {"yes"}}
	deadline := time.Now().Add(20 * time.Second)
	for {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/forms/website", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		req.Header.Set("traceparent", fmt.Sprintf("00-%s-b7ad6b7169203331-01", browserTrace))
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < http.StatusMultipleChoices {
				return
			}
			err = fmt.Errorf("answered %s", resp.Status)
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// namesOf lists the spans of a trace, kind and name.
func namesOf(spans *tracetest.InMemoryExporter, trace string) []string {
	var names []string
	for _, s := range spans.GetSpans() {
		if s.SpanContext.TraceID().String() == trace {
			names = append(names, s.SpanKind.String()+" "+s.Name)
		}
	}
	return names
}

func hasHop(names []string, hop string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, hop) })
}
