package crm

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

const scope = "github.com/nurturehq/nurture/services/handoff"

func tracer() trace.Tracer { return otel.Tracer(scope) }

// meters count what the deliverer sees. Every record is seen by one replica,
// so sums over replicas are right; a crash may count a record twice.
type meters struct {
	events   metric.Int64Counter
	attempts metric.Int64Counter
	seconds  metric.Float64Histogram
	lead     metric.Float64Histogram
}

// newMeters makes the instruments; a name the SDK refuses is a bug of ours and
// must not stop deliveries, so it counts into the void.
func newMeters() meters {
	m := otel.Meter(scope)
	out := meters{noop.Int64Counter{}, noop.Int64Counter{}, noop.Float64Histogram{}, noop.Float64Histogram{}}
	if c, err := m.Int64Counter("nurture_handoff_events", metric.WithDescription("Facts in handoff records, by kind and reason.")); err == nil {
		out.events = c
	}
	if c, err := m.Int64Counter("nurture_handoff_attempts", metric.WithDescription("Attempts to deliver, by type and reason.")); err == nil {
		out.attempts = c
	}
	if h, err := m.Float64Histogram("nurture_handoff_attempt_duration", metric.WithUnit("s"),
		metric.WithDescription("Collecting the dossier, sending it and waiting for the answer.")); err == nil {
		out.seconds = h
	}
	if h, err := m.Float64Histogram("nurture_handoff_speed", metric.WithUnit("s"),
		metric.WithDescription("From the decision to delivered, when the first attempt succeeds.")); err == nil {
		out.lead = h
	}
	return out
}

func (m meters) event(ctx context.Context, e *handoffv1.Event) {
	kind, reason := nameOf(e)
	m.events.Add(ctx, 1, metric.WithAttributes(attribute.String("event", kind), attribute.String("reason", reason)))
}

func nameOf(e *handoffv1.Event) (kind, reason string) {
	switch f := e.GetFact().(type) {
	case *handoffv1.Event_Held:
		return "held", f.Held.GetReason()
	case *handoffv1.Event_Assigned:
		return "assigned", f.Assigned.GetRoutedBy()
	case *handoffv1.Event_DeliveryIntended:
		return "delivery_intended", ""
	case *handoffv1.Event_DeliverySettled:
		return "delivery_settled", f.DeliverySettled.GetDelivery().GetReason()
	case *handoffv1.Event_Reminded:
		return "reminded", ""
	case *handoffv1.Event_Accepted:
		return "accepted", ""
	case *handoffv1.Event_Rejected:
		return "rejected", f.Rejected.GetReason().String()
	case *handoffv1.Event_Recycled:
		return "recycled", f.Recycled.GetReason().String()
	case *handoffv1.Event_Disqualified:
		return "disqualified", f.Disqualified.GetReason().String()
	case *handoffv1.Event_OutcomeRecorded:
		return "outcome_recorded", f.OutcomeRecorded.GetOutcome().String()
	case *handoffv1.Event_Erased:
		return "erased", ""
	case *handoffv1.Event_Withdrawn:
		return "withdrawn", f.Withdrawn.GetReason()
	default:
		return "unknown", ""
	}
}

func (m meters) attempt(ctx context.Context, del *handoffv1.Delivery, o *handoffv1.DeliveryOutcome, took time.Duration) {
	labels := metric.WithAttributes(attribute.String("type", del.GetType()), attribute.String("reason", o.GetReason()))
	m.attempts.Add(ctx, 1, labels)
	m.seconds.Record(ctx, took.Seconds(), labels)
	if o.GetDelivered() && o.GetAttempt() == 1 && del.GetIntendedAt() != nil {
		m.lead.Record(ctx, o.GetAt().AsTime().Sub(del.GetIntendedAt().AsTime()).Seconds(), labels)
	}
}
