package ledger

import (
	"context"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
)

// A record continues the trace of the first input folded into it; the others
// are linked. A wake-up starts a trace of its own, linked to the one that
// began to wait: no trace lasts for weeks.

// startSpans opens a span for every work that is part of a trace.
func (l *Ledger[S]) startSpans(works []*work[S]) (end func()) {
	var spans []trace.Span
	for _, w := range works {
		first := w.items[0]
		parent := origin(first)
		if !parent.IsValid() {
			continue
		}
		opts := []trace.SpanStartOption{
			trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(attribute.String("lead_id", w.lead), attribute.Int("inputs", len(w.items))),
		}
		base := trace.ContextWithRemoteSpanContext(context.Background(), parent)
		if first.in.Due() {
			opts = append(opts, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: parent}))
		}
		for _, it := range w.items[1:] {
			if sc := origin(it); sc.IsValid() && sc.TraceID() != parent.TraceID() {
				opts = append(opts, trace.WithLinks(trace.Link{SpanContext: sc}))
			}
		}
		var span trace.Span
		w.ctx, span = l.tracer.Start(base, "process "+l.o.Service, opts...)
		spans = append(spans, span)
	}
	return func() {
		for _, s := range spans {
			s.End()
		}
	}
}

// origin is the span that an item was caused by.
func origin(it *item) trace.SpanContext {
	if it.cmd != nil {
		return it.cmd.span
	}
	return trace.SpanContextFromContext(bus.Extract(context.Background(), it.header))
}

// inject makes a message part of the work's trace.
func inject[S proto.Message](w *work[S], msg *nats.Msg) {
	if w.ctx != nil {
		bus.Inject(w.ctx, msg.Header)
	}
}

func newTracer() trace.Tracer { return otel.Tracer(scope) }
