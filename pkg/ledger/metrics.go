package ledger

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// metrics of one ledger. Names are stable: dashboards and alerts use them.
type metrics struct {
	service       metric.MeasurementOption
	name          attribute.KeyValue
	inputs        metric.Int64Counter
	records       metric.Int64Counter
	batch         metric.Int64Histogram
	conflicts     metric.Int64Counter
	batchFailures metric.Int64Counter
	postponed     metric.Int64Counter
	armed         metric.Int64Counter
	lateness      metric.Float64Histogram
	cacheErrors   metric.Int64Counter
}

func newMetrics(service string) *metrics {
	name := attribute.String("service", service)
	return &metrics{
		name:          name,
		service:       metric.WithAttributeSet(attribute.NewSet(name)),
		inputs:        counter("nurture_ledger_inputs", "Inputs and commands by what became of them."),
		records:       counter("nurture_ledger_records", "Records committed."),
		batch:         histogram("nurture_ledger_batch_records", "Records per commit."),
		conflicts:     counter("nurture_ledger_conflicts", "Compare-and-set conflicts, folded again."),
		batchFailures: counter("nurture_ledger_batch_failures", "Atomic batches refused and taken apart."),
		postponed:     counter("nurture_ledger_postponed", "Leads put off because states or views could not be read."),
		armed:         counter("nurture_ledger_wakeups_armed", "Schedules published."),
		lateness:      lateness(),
		cacheErrors:   counter("nurture_ledger_cache_errors", "Redis calls that failed; the log answered."),
	}
}

func verdictName(v verdict) string {
	return [...]string{"changed", "same", "repeated", "dropped", "early", "failed", "waiting"}[v]
}

// ruled counts one item.
func (m *metrics) ruled(ctx context.Context, it *item, r ruling) {
	m.inputs.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(m.name,
		attribute.String("stream", it.in.Stream), attribute.String("result", verdictName(r.verdict)))))
	if it.in.Due() && (r.verdict == changed || r.verdict == same) {
		m.lateness.Record(ctx, r.late.Seconds(), m.service)
	}
}

func (m *metrics) committed(ctx context.Context, n int) {
	if n == 0 {
		return
	}
	m.records.Add(ctx, int64(n), m.service)
	m.batch.Record(ctx, int64(n), m.service)
}

func (m *metrics) cacheError(ctx context.Context, op string) {
	m.cacheErrors.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(m.name, attribute.String("op", op))))
}

func counter(name, help string) metric.Int64Counter {
	c, err := otel.Meter(scope).Int64Counter(name, metric.WithDescription(help))
	if err != nil { // a name the SDK refuses must not stop a service
		return noop.Int64Counter{}
	}
	return c
}

func histogram(name, help string) metric.Int64Histogram {
	h, err := otel.Meter(scope).Int64Histogram(name, metric.WithDescription(help),
		metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000))
	if err != nil {
		return noop.Int64Histogram{}
	}
	return h
}

func lateness() metric.Float64Histogram {
	h, err := otel.Meter(scope).Float64Histogram("nurture_ledger_wakeup_lateness", metric.WithUnit("s"),
		metric.WithDescription("How long after its time a wake-up was folded."),
		metric.WithExplicitBucketBoundaries(.05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300))
	if err != nil {
		return noop.Float64Histogram{}
	}
	return h
}

const scope = "github.com/nurturehq/nurture/pkg/ledger"
