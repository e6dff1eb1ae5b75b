package bus

import (
	"context"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// carrier lets OpenTelemetry read and write NATS headers, whose names are case
// sensitive: "traceparent" in lower case, as the W3C has it.
type carrier nats.Header

func (c carrier) Get(key string) string {
	if v := c[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (c carrier) Set(key, value string) { c[key] = []string{value} }

func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}

// Inject writes the trace of ctx into the headers.
func Inject(ctx context.Context, h nats.Header) {
	otel.GetTextMapPropagator().Inject(ctx, carrier(h))
}

// Extract reads the trace of the headers into a context.
func Extract(ctx context.Context, h nats.Header) context.Context {
	return otel.GetTextMapPropagator().Extract(ctx, carrier(h))
}

func meter() metric.Meter { return otel.Meter("github.com/nurturehq/nurture/pkg/bus") }

// counter makes a counter; a name that the SDK refuses is a bug of ours and
// must not stop a service, so it counts into the void.
func counter(name, help string) metric.Int64Counter {
	c, err := meter().Int64Counter(name, metric.WithDescription(help))
	if err != nil {
		return noop.Int64Counter{}
	}
	return c
}
