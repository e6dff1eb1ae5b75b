package telemetry

import (
	"context"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// masking exports spans without what says who called: instrumentation notes the
// browser and the address of visitors, and paths into which anything can be typed.
type masking struct{ sdktrace.SpanExporter }

// ExportSpans passes the spans on.
func (m masking) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	masked := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		masked[i] = maskedSpan{s}
	}
	if err := m.SpanExporter.ExportSpans(ctx, masked); err != nil {
		return fmt.Errorf("export spans: %w", err)
	}
	return nil
}

type maskedSpan struct{ sdktrace.ReadOnlySpan }

// Attributes are those that name no visitor.
func (s maskedSpan) Attributes() []attribute.KeyValue {
	all := s.ReadOnlySpan.Attributes()
	kept := make([]attribute.KeyValue, 0, len(all))
	for _, a := range all {
		if visitor(a.Key, s.SpanKind()) {
			continue
		}
		if a.Value.Type() == attribute.STRING {
			a.Value = attribute.StringValue(redact(a.Value.AsString()))
		}
		kept = append(kept, a)
	}
	return kept
}

// Status tells what failed.
func (s maskedSpan) Status() sdktrace.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = redact(status.Description)
	return status
}

// Events are what happened meanwhile, errors among it.
func (s maskedSpan) Events() []sdktrace.Event {
	events := slices.Clone(s.ReadOnlySpan.Events())
	for i, e := range events {
		events[i].Name = redact(e.Name)
		events[i].Attributes = slices.Clone(e.Attributes)
		for j, a := range e.Attributes {
			if a.Value.Type() == attribute.STRING {
				events[i].Attributes[j].Value = attribute.StringValue(redact(a.Value.AsString()))
			}
		}
	}
	return events
}

// visitor reports whether an attribute may say who called us. Spans have the
// route (http.route) as their name; of the calls we make, addresses may be kept.
func visitor(key attribute.Key, kind trace.SpanKind) bool {
	switch key {
	case semconv.UserAgentOriginalKey, semconv.ClientAddressKey, semconv.ClientPortKey, semconv.URLFullKey, semconv.URLQueryKey:
		return true
	case semconv.URLPathKey, semconv.NetworkPeerAddressKey, semconv.NetworkPeerPortKey:
		return kind == trace.SpanKindServer
	}
	return false
}
