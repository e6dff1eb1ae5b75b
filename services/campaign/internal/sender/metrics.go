package sender

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
)

// metrics of the sender. Names are stable: dashboards and alerts use them.
type metrics struct {
	touches   metric.Int64Counter
	attempts  metric.Int64Counter
	conflicts metric.Int64Counter
	duration  metric.Float64Histogram
}

func newMetrics() *metrics {
	m := otel.Meter("github.com/nurturehq/nurture/services/campaign")
	return &metrics{
		touches:   counter(m, "nurture_campaign_touches", "Touches by what became of them, and why."),
		attempts:  counter(m, "nurture_campaign_smtp_attempts", "Mails handed to the SMTP server, by its answer."),
		conflicts: counter(m, "nurture_campaign_outcome_conflicts", "Touches with two different outcomes."),
		duration:  histogram(m, "nurture_campaign_smtp_seconds", "Time one mail took on the SMTP connection, in seconds."),
	}
}

func (m *metrics) touch(ctx context.Context, status, reason string) {
	m.touches.Add(ctx, 1, metric.WithAttributes(attribute.String("status", status), attribute.String("reason", reason)))
}

func (m *metrics) attempt(ctx context.Context, a Attempt, took time.Duration) {
	m.attempts.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", a.Reason)))
	m.duration.Record(ctx, took.Seconds())
}

func (m *metrics) conflict(ctx context.Context) { m.conflicts.Add(ctx, 1) }

// counter makes a counter; a name that the SDK refuses is a bug of ours and
// must not stop a service, so it counts into the void.
func counter(m metric.Meter, name, help string) metric.Int64Counter {
	c, err := m.Int64Counter(name, metric.WithDescription(help))
	if err != nil {
		return noop.Int64Counter{}
	}
	return c
}

func histogram(m metric.Meter, name, help string) metric.Float64Histogram {
	h, err := m.Float64Histogram(name, metric.WithDescription(help), metric.WithUnit("s"))
	if err != nil {
		return noop.Float64Histogram{}
	}
	return h
}

func statusName(s campaignv1.TouchStatus) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "TOUCH_STATUS_"))
}
