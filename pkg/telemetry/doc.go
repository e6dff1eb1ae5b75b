// Package telemetry sets up logs, traces and metrics once per process, and is
// the one place that knows the names of OpenTelemetry's semantic conventions.
//
// Logs are slog JSON; every line written with a context inside a span carries
// trace_id and span_id. Metrics always go to a Prometheus registry, served by
// Handler. Traces, and copies of metrics and logs, are exported when the
// standard OpenTelemetry variables ask for it:
//
//	OTEL_EXPORTER_OTLP_ENDPOINT   turns all three on, e.g. http://localhost:4318
//	OTEL_TRACES_EXPORTER          otlp, console or none (default none without an endpoint)
//	OTEL_METRICS_EXPORTER         the same, beside /metrics which is always there
//	OTEL_LOGS_EXPORTER            the same, beside standard output
//	OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED
//
// Services get their instruments from the global meter and their tracer from
// the global provider:
//
//	meter := otel.Meter("github.com/nurturehq/nurture/services/scoring")
//
// and their messaging spans from StartSend, StartConsume and StartLinked,
// which cost a type check while traces are off, and allocate nothing but the
// attributes they are given.
package telemetry
