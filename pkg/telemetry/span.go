package telemetry

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

const scope = "github.com/nurturehq/nurture/pkg/telemetry"

// LeadKey is the attribute that ties all spans of one lead together, over
// waits and traces.
const LeadKey = attribute.Key("nurture.lead_id")

// StartSend begins the span "send <destination>" (kind PRODUCER) around the
// publishing of messages. destination is a stream or another name of low
// cardinality, never a subject with a lead in it. The context answered must be
// the one whose trace is injected into the message.
func StartSend(ctx context.Context, destination string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	if !recording() {
		return ctx, noop.Span{}
	}
	return start(ctx, span{
		kind: trace.SpanKindProducer, op: "send",
		optype: semconv.MessagingOperationTypeSend, destination: destination, attrs: attrs,
	})
}

// StartConsume begins the span "process <destination>" (kind CONSUMER) around
// the handling of one message, as a child of the trace that was extracted from
// it into ctx: for a hop that follows within a minute.
func StartConsume(ctx context.Context, destination string, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	if !recording() {
		return ctx, noop.Span{}
	}
	return start(ctx, span{
		kind: trace.SpanKindConsumer, op: "process",
		optype: semconv.MessagingOperationTypeProcess, destination: destination, attrs: attrs,
	})
}

// StartLinked begins the span "process <destination>" in a trace of its own
// that links to the traces of its causes: for a batch of messages, or for what
// happens after a wait. Contexts without a trace are passed over.
func StartLinked(ctx context.Context, destination string, causes []context.Context, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	if !recording() {
		return ctx, noop.Span{}
	}
	links := make([]trace.Link, 0, len(causes))
	for _, cause := range causes {
		if link := trace.LinkFromContext(cause); link.SpanContext.IsValid() {
			links = append(links, link)
		}
	}
	if len(causes) > 1 {
		attrs = append(attrs, semconv.MessagingBatchMessageCount(len(causes)))
	}
	return start(ctx, span{
		kind: trace.SpanKindConsumer, op: "process",
		optype: semconv.MessagingOperationTypeProcess, destination: destination,
		attrs: attrs, opts: []trace.SpanStartOption{trace.WithNewRoot(), trace.WithLinks(links...)},
	})
}

// End ends a span, marked as failed when err is not nil. The text of err must
// not name a person.
func End(s trace.Span, err error) {
	if err != nil && s.IsRecording() {
		s.SetAttributes(semconv.ErrorType(err))
		s.SetStatus(codes.Error, err.Error())
	}
	s.End()
}

type span struct {
	kind        trace.SpanKind
	op          string
	optype      attribute.KeyValue
	destination string
	attrs       []attribute.KeyValue
	opts        []trace.SpanStartOption
}

func start(ctx context.Context, s span) (context.Context, trace.Span) {
	opts := append(s.opts, trace.WithSpanKind(s.kind), trace.WithAttributes(
		semconv.MessagingSystemKey.String("nats"),
		semconv.MessagingOperationName(s.op), s.optype,
		semconv.MessagingDestinationName(s.destination)),
		trace.WithAttributes(s.attrs...))
	return otel.Tracer(scope).Start(ctx, s.op+" "+s.destination, opts...)
}

// recording reports whether spans go anywhere. The check is here and not left
// to a no-op tracer because names, attributes and options cost allocations.
func recording() bool {
	_, ok := otel.GetTracerProvider().(*sdktrace.TracerProvider)
	return ok
}
