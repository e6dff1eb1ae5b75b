package telemetry_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/nurturehq/nurture/pkg/telemetry"
)

// record keeps the spans of one test.
func record(t *testing.T) *tracetest.SpanRecorder {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	return recorder
}

func attributes(s sdktrace.ReadOnlySpan) map[string]any {
	m := map[string]any{}
	for _, kv := range s.Attributes() {
		m[string(kv.Key)] = kv.Value.AsInterface()
	}
	return m
}

func TestAHopIsASendAndAProcessSpanInOneTrace(t *testing.T) {
	recorder := record(t)
	ctx, send := telemetry.StartSend(t.Context(), "leads", telemetry.LeadKey.String("l1"))
	_, process := telemetry.StartConsume(ctx, "leads")
	telemetry.End(process, nil)
	telemetry.End(send, nil)

	spans := recorder.Ended()
	got, want := spans[0], spans[1]
	if got.Name() != "process leads" || got.SpanKind() != trace.SpanKindConsumer {
		t.Errorf("consumer is %q, %v", got.Name(), got.SpanKind())
	}
	if want.Name() != "send leads" || want.SpanKind() != trace.SpanKindProducer {
		t.Errorf("producer is %q, %v", want.Name(), want.SpanKind())
	}
	if got.Parent().SpanID() != want.SpanContext().SpanID() || got.SpanContext().TraceID() != want.SpanContext().TraceID() {
		t.Error("the consumer's span is not a child of the producer's")
	}
	if diff := cmp.Diff(map[string]any{
		"messaging.system": "nats", "messaging.operation.name": "send", "messaging.operation.type": "send",
		"messaging.destination.name": "leads", "nurture.lead_id": "l1",
	}, attributes(want)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{
		"messaging.system": "nats", "messaging.operation.name": "process", "messaging.operation.type": "process",
		"messaging.destination.name": "leads",
	}, attributes(got)); diff != "" {
		t.Error(diff)
	}
}

func TestABatchIsATraceOfItsOwnLinkedToItsCauses(t *testing.T) {
	recorder := record(t)
	one, first := telemetry.StartSend(t.Context(), "leads")
	two, second := telemetry.StartSend(t.Context(), "leads")
	_, batch := telemetry.StartLinked(one, "leads", []context.Context{one, two, context.Background()})
	batch.End()

	got := recorder.Ended()[0]
	if got.Parent().IsValid() || got.SpanContext().TraceID() == first.SpanContext().TraceID() {
		t.Error("the batch is part of a cause's trace")
	}
	var linked []trace.SpanID
	for _, link := range got.Links() {
		linked = append(linked, link.SpanContext.SpanID())
	}
	if diff := cmp.Diff([]trace.SpanID{first.SpanContext().SpanID(), second.SpanContext().SpanID()}, linked); diff != "" {
		t.Error(diff)
	}
	if n := attributes(got)["messaging.batch.message_count"]; n != int64(3) {
		t.Errorf("batch of %v, want 3", n)
	}
}

type lost struct{}

func (lost) Error() string { return "lost" }

func TestAFailedSpanSaysSo(t *testing.T) {
	recorder := record(t)
	_, span := telemetry.StartConsume(t.Context(), "scores")
	telemetry.End(span, lost{})
	got := recorder.Ended()[0]
	if got.Status().Code != codes.Error || got.Status().Description != "lost" {
		t.Errorf("status %+v", got.Status())
	}
	if kind := attributes(got)["error.type"]; kind != "telemetry_test.lost" && kind != "github.com/nurturehq/nurture/pkg/telemetry_test.lost" {
		t.Errorf("error.type %v", kind)
	}
}

func TestSpansCostNothingWhileTracesAreOff(t *testing.T) {
	ctx := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, Remote: true,
	}))
	broken := errors.New("broken")
	allocs := testing.AllocsPerRun(100, func() {
		sent, send := telemetry.StartSend(ctx, "leads")
		got, process := telemetry.StartConsume(sent, "leads")
		_, linked := telemetry.StartLinked(got, "leads", nil)
		if got != ctx {
			t.Error("the caller's trace was lost")
		}
		telemetry.End(linked, broken)
		telemetry.End(process, nil)
		telemetry.End(send, nil)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkASpanWhileTracesAreOff(b *testing.B) {
	for b.Loop() {
		_, span := telemetry.StartConsume(b.Context(), "leads", attribute.String("k", "v"))
		telemetry.End(span, nil)
	}
}
