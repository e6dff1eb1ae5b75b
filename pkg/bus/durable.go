package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// checkDurable finds out whether the server fsyncs before it acknowledges.
// With the default of NATS (fsync every two minutes) a power cut loses what
// was acknowledged since, so this is said loudly.
func (b *Bus) checkDurable(ctx context.Context, o Options) {
	durable, known := false, false
	switch {
	case o.Server != nil:
		if v, err := o.Server.Varz(nil); err == nil {
			durable, known = v.JetStream.Config != nil && v.JetStream.Config.SyncAlways, true
		}
	case o.MonitorURL != "":
		var err error
		durable, err = askMonitor(ctx, o.MonitorURL)
		known = err == nil
		if err != nil {
			o.Log.Warn("durability of the log is unknown", "monitor_url", o.MonitorURL, "error", err)
		}
	}
	reportDurable(ctx, durable)
	switch {
	case durable:
	case known:
		o.Log.Error("THE LOG IS NOT DURABLE: the server acknowledges before it fsyncs; set `jetstream { sync_interval: always }`")
	default:
		o.Log.Warn("durability of the log is not checked: set NATS_MONITOR_URL, and `jetstream { sync_interval: always }` on the server")
	}
}

func askMonitor(ctx context.Context, url string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/jsz?config=true", nil)
	if err != nil {
		return false, fmt.Errorf("build request to %s: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, fmt.Errorf("ask %s: %w", url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	var jsz struct {
		Config struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&jsz); err != nil {
		return false, fmt.Errorf("read answer of %s: %w", url, err)
	}
	return jsz.Config.SyncAlways, nil
}

// reportDurable sets the gauge: 1 when fsync before acknowledge is confirmed.
func reportDurable(ctx context.Context, durable bool) {
	g, err := meter().Int64Gauge("nurture_bus_durable",
		metric.WithDescription("1 when the log is known to fsync before it acknowledges."))
	if err != nil {
		return
	}
	v := int64(0)
	if durable {
		v = 1
	}
	g.Record(ctx, v)
}
