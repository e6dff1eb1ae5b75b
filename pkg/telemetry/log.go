package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/trace"
)

// logger writes JSON lines to opts.Out, and to the log exporter when there is one.
func (p *pipeline) logger(opts Options) *slog.Logger {
	var h slog.Handler = slog.NewJSONHandler(opts.Out, &slog.HandlerOptions{Level: opts.Level})
	h = traced{h}.WithAttrs([]slog.Attr{slog.String("service", opts.Service)})
	if p.logs != nil {
		export := otelslog.NewHandler(opts.Service, otelslog.WithLoggerProvider(p.logs))
		h = slog.NewMultiHandler(h, atLeast{export, opts.Level})
	}
	return slog.New(discreet{h})
}

// traced adds trace_id and span_id to the lines written inside a span.
type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()),
			slog.String("span_id", sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traced{h.Handler.WithAttrs(attrs)}
}

func (h traced) WithGroup(name string) slog.Handler {
	return traced{h.Handler.WithGroup(name)}
}

// atLeast keeps lines below a level from a handler that has no level itself.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
