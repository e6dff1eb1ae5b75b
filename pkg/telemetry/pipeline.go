package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	prombridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	promexport "go.opentelemetry.io/otel/exporters/prometheus"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// pipeline is the process's one set of providers. It is itself the global
// meter provider, which is how Handler and a second Start find it without a
// variable of our own.
type pipeline struct {
	*sdkmetric.MeterProvider
	metrics prometheus.Gatherers
	tracer  *sdktrace.TracerProvider
	logs    *sdklog.LoggerProvider
	closers []func(context.Context) error
	users   atomic.Int32
}

// installed finds the pipeline of an earlier Start.
func installed() (*pipeline, bool) {
	p, ok := otel.GetMeterProvider().(*pipeline)
	return p, ok
}

// join adds a user unless the last one has left already.
func (p *pipeline) join() bool {
	for {
		n := p.users.Load()
		if n == 0 {
			return false
		}
		if p.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave removes a user; the last one closes everything.
func (p *pipeline) leave(ctx context.Context) error {
	if p.users.Add(-1) > 0 {
		return nil
	}
	return p.close(ctx)
}

func (p *pipeline) close(ctx context.Context) error {
	var errs []error
	for _, shut := range slices.Backward(p.closers) {
		errs = append(errs, shut(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close telemetry: %w", err)
	}
	return nil
}

// startMetrics always fills the Prometheus registry, and pushes as well when
// the environment says so. The Go runtime's own metrics live in a registry
// beside it, so that a push can take them along without taking ours twice.
func (p *pipeline) startMetrics(ctx context.Context, res *resource.Resource) error {
	ours, runtime := prometheus.NewRegistry(), prometheus.NewRegistry()
	runtime.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.metrics = prometheus.Gatherers{ours, runtime}
	pull, err := promexport.New(promexport.WithRegisterer(ours), promexport.WithoutScopeInfo())
	if err != nil {
		return err
	}
	opts := []sdkmetric.Option{
		sdkmetric.WithResource(res), sdkmetric.WithReader(pull), sdkmetric.WithView(shape),
	}
	if wanted("METRICS") {
		autoexport.WithFallbackMetricProducer(func(context.Context) (sdkmetric.Producer, error) {
			return prombridge.NewMetricProducer(prombridge.WithGatherer(runtime)), nil
		})
		push, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return fmt.Errorf("OTEL_METRICS_EXPORTER: %w", err)
		}
		opts = append(opts, sdkmetric.WithReader(push))
	}
	p.MeterProvider = sdkmetric.NewMeterProvider(opts...)
	p.closers = append(p.closers, p.Shutdown)
	return nil
}

func (p *pipeline) startTraces(ctx context.Context, res *resource.Resource) error {
	if !wanted("TRACES") {
		return nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return fmt.Errorf("OTEL_TRACES_EXPORTER: %w", err)
	}
	p.tracer = sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(masking{exporter}))
	p.closers = append(p.closers, p.tracer.Shutdown)
	return nil
}

func (p *pipeline) startLogs(ctx context.Context, res *resource.Resource) error {
	if !wanted("LOGS") {
		return nil
	}
	exporter, err := autoexport.NewLogExporter(ctx)
	if err != nil {
		return fmt.Errorf("OTEL_LOGS_EXPORTER: %w", err)
	}
	p.logs = sdklog.NewLoggerProvider(sdklog.WithResource(res),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	p.closers = append(p.closers, p.logs.Shutdown)
	return nil
}

// Handler serves the process's metrics in the Prometheus and OpenMetrics text
// formats: 503 before Start. Every HTTP listener of the process may serve it.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := installed()
		if !ok {
			http.Error(w, "no metrics: telemetry was not started", http.StatusServiceUnavailable)
			return
		}
		promhttp.HandlerFor(p.metrics, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(w, r)
	})
}

// shape gives durations buckets from half a millisecond to a minute, and drops
// attributes that a stranger chooses (the Host header), which would let anyone
// grow the number of series without end.
func shape(i sdkmetric.Instrument) (sdkmetric.Stream, bool) {
	s := sdkmetric.Stream{Name: i.Name, Description: i.Description, Unit: i.Unit}
	s.AttributeFilter = attribute.NewDenyKeysFilter(
		semconv.ServerAddressKey, semconv.ServerPortKey, semconv.ClientAddressKey,
		semconv.NetworkPeerAddressKey, semconv.NetworkPeerPortKey, semconv.NetworkProtocolVersionKey)
	if i.Kind == sdkmetric.InstrumentKindHistogram && i.Unit == "s" {
		s.Aggregation = sdkmetric.AggregationExplicitBucketHistogram{Boundaries: []float64{
			0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
		}}
	}
	return s, true
}
