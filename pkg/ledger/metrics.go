package ledger

import (
	"context"
	"math"
	"sync"
	"time"

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
	lag           metric.Float64Histogram
	commit        metric.Float64Histogram
	pending       metric.Int64Gauge
	cacheErrors   metric.Int64Counter

	mu     sync.Mutex
	labels map[label]metric.MeasurementOption
}

// label is what inputs are counted by.
type label struct {
	stream  string
	verdict verdict
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
		lateness:      seconds("nurture_ledger_wakeup_lateness", "How long after its time a wake-up was folded."),
		lag:           seconds("nurture_ledger_lag", "Age of an input when it was settled: from its own time to its record."),
		commit:        seconds("nurture_ledger_commit_duration", "How long the records of one pass took to become durable."),
		pending:       gauge("nurture_ledger_pending", "Inputs that wait in a stream, as last told by the server."),
		labels:        map[label]metric.MeasurementOption{},
		cacheErrors:   counter("nurture_ledger_cache_errors", "Redis calls that failed; the log answered."),
	}
}

func verdictName(v verdict) string {
	return [...]string{"changed", "same", "repeated", "dropped", "early", "failed", "waiting"}[v]
}

// ruled counts one item that was settled at a time.
func (m *metrics) ruled(ctx context.Context, it *item, r ruling, now time.Time) {
	m.inputs.Add(ctx, 1, m.label(label{it.in.Stream, r.verdict}))
	if it.cmd != nil {
		return
	}
	if it.in.Due() && (r.verdict == changed || r.verdict == same) {
		m.lateness.Record(ctx, r.late.Seconds(), m.service)
		return
	}
	m.lag.Record(ctx, now.Sub(it.in.Time).Seconds(), m.label(label{it.in.Stream, unlabelled}))
}

// label makes the attributes of a combination once; there are few.
func (m *metrics) label(l label) metric.MeasurementOption {
	m.mu.Lock()
	defer m.mu.Unlock()
	opt, ok := m.labels[l]
	if !ok {
		attrs := []attribute.KeyValue{m.name, attribute.String("stream", l.stream)}
		if l.verdict != unlabelled {
			attrs = append(attrs, attribute.String("result", verdictName(l.verdict)))
		}
		opt = metric.WithAttributeSet(attribute.NewSet(attrs...))
		m.labels[l] = opt
	}
	return opt
}

// unlabelled leaves the result out of a label.
const unlabelled verdict = -1

// waits tells how many inputs are behind the one just delivered.
func (m *metrics) waits(ctx context.Context, stream string, n uint64) {
	m.pending.Record(ctx, int64(min(n, math.MaxInt64)), m.label(label{stream, unlabelled})) //nolint:gosec // bounded
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

func gauge(name, help string) metric.Int64Gauge {
	g, err := otel.Meter(scope).Int64Gauge(name, metric.WithDescription(help))
	if err != nil {
		return noop.Int64Gauge{}
	}
	return g
}

func seconds(name, help string) metric.Float64Histogram {
	h, err := otel.Meter(scope).Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(help),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300))
	if err != nil {
		return noop.Float64Histogram{}
	}
	return h
}

const scope = "github.com/nurturehq/nurture/pkg/ledger"
