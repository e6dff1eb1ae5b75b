package e2e

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// verdictsCounted counts, from now on, the verdicts on opens and clicks of all
// services in this process, like "machine trap_link".
func verdictsCounted(t *testing.T) (counts func(context.Context) map[string]int64) {
	t.Helper()
	reader := metric.NewManualReader()
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	t.Cleanup(func() { otel.SetMeterProvider(before) })
	return func(ctx context.Context) map[string]int64 {
		var all metricdata.ResourceMetrics
		if err := reader.Collect(ctx, &all); err != nil {
			t.Error(err)
		}
		counts := map[string]int64{}
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				sum, ok := m.Data.(metricdata.Sum[int64])
				if !ok || m.Name != "nurture_ingest_verdicts" {
					continue
				}
				for _, p := range sum.DataPoints {
					by, _ := p.Attributes.Value("by")
					reason, _ := p.Attributes.Value("reason")
					counts[by.AsString()+" "+reason.AsString()] += p.Value
				}
			}
		}
		return counts
	}
}
