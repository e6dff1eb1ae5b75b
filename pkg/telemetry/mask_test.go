package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// Others see spans as they were exported, so this test asks the exporter.
func TestSpansDoNotSayWhoCalled(t *testing.T) {
	out := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(masking{out}))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	note := []attribute.KeyValue{
		attribute.String("http.route", "/v1/leads/{lead_id}"), attribute.String("url.path", "/v1/leads/ann@example.com"),
		attribute.String("url.query", "email=ann@example.com"), attribute.String("url.full", "https://x.example/?email=ann@example.com"),
		attribute.String("client.address", "2001:db8::7"), attribute.String("user_agent.original", "Mozilla/5.0"),
		attribute.String("network.peer.address", "10.0.0.7"),
	}
	for _, kind := range []trace.SpanKind{trace.SpanKindServer, trace.SpanKindClient} {
		_, span := provider.Tracer("t").Start(t.Context(), "s", trace.WithSpanKind(kind), trace.WithAttributes(note...))
		span.SetStatus(codes.Error, "550 5.1.1 <ann.b+c@mail.example.com> unknown")
		span.RecordError(errors.New("no lead ann%40example.com"))
		span.End()
	}
	want := [][]string{{"http.route"}, {"http.route", "url.path", "network.peer.address"}}
	for i, s := range out.GetSpans() {
		if text := s.Status.Description + fmt.Sprint(s.Events); strings.Contains(text, "ann") || !strings.Contains(text, "550 5.1.1 <(address)> unknown") {
			t.Errorf("%s says %s", s.SpanKind, text)
		}
		var keys []string
		for _, a := range s.Attributes {
			keys = append(keys, string(a.Key))
		}
		if diff := cmp.Diff(want[i], keys); diff != "" {
			t.Errorf("%s: %s", s.SpanKind, diff)
		}
	}
}
