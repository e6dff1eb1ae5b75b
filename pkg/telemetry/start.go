package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Options say who is observed.
type Options struct {
	// Service is the service.name, e.g. "scoring". OTEL_SERVICE_NAME wins.
	Service string
	// Level is the lowest level that is logged. Default slog.LevelInfo.
	Level slog.Level
	// Out is where log lines go. Default os.Stdout.
	Out io.Writer
}

// Telemetry is what a process needs to report with.
type Telemetry struct {
	// Log writes JSON lines with trace ids.
	Log *slog.Logger
}

// Start sets up logs, traces and metrics for the process and installs the
// global OpenTelemetry providers. A second Start in the same process shares
// the providers of the first and gets a logger of its own. shutdown flushes
// and closes what the last user leaves; it must be called once.
func Start(ctx context.Context, opts Options) (_ *Telemetry, shutdown func(context.Context) error, _ error) {
	if opts.Out == nil {
		opts.Out = os.Stdout
	}
	if p, ok := installed(); ok && p.join() {
		return &Telemetry{Log: p.logger(opts)}, p.leave, nil
	}
	p, err := newPipeline(ctx, opts.Service)
	if err != nil {
		return nil, nil, fmt.Errorf("start telemetry: %w", err)
	}
	log := p.logger(opts)
	p.install(log)
	return &Telemetry{Log: log}, p.leave, nil
}

func newPipeline(ctx context.Context, service string) (_ *pipeline, err error) {
	p := &pipeline{}
	p.users.Store(1)
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close(ctx))
		}
	}()
	res, err := newResource(ctx, service)
	if err != nil {
		return nil, err
	}
	if err := p.startMetrics(ctx, res); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if err := p.startTraces(ctx, res); err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	if err := p.startLogs(ctx, res); err != nil {
		return nil, fmt.Errorf("logs: %w", err)
	}
	return p, nil
}

func newResource(ctx context.Context, service string) (*resource.Resource, error) {
	attrs := resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceNamespace("nurture"))
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		attrs = resource.WithAttributes(semconv.ServiceName(service),
			semconv.ServiceNamespace("nurture"), semconv.ServiceVersion(info.Main.Version))
	}
	res, err := resource.New(ctx, attrs, resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe the process (OTEL_RESOURCE_ATTRIBUTES): %w", err)
	}
	return res, nil
}

// install makes the pipeline the process-wide one. Trace context is passed on
// even when no spans are recorded here.
func (p *pipeline) install(log *slog.Logger) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("telemetry trouble", "error", err)
	}))
	otel.SetMeterProvider(p)
	if p.tracer != nil {
		otel.SetTracerProvider(p.tracer)
	}
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(
		propagation.TraceContext{}, propagation.Baggage{}))
}

// wanted reports whether the standard variables ask for a signal: by naming an
// exporter, or by naming an endpoint without saying "none".
func wanted(signal string) bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if v := os.Getenv("OTEL_" + signal + "_EXPORTER"); v != "" {
		return v != "none"
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" ||
		os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
}
