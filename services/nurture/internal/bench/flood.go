package bench

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// quietRate and its tenfold are what the two sources of the flood send, per
	// second; the noisy one is allowed quietRate.
	quietRate = 100
	flood     = 10
)

// flooded lets a quiet source send alone, and then beside one that sends ten
// times what its limits allow.
func flooded(ctx context.Context, url string) ([]Line, error) {
	alone, err := steady(ctx, url, "alone")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var sent, refused atomic.Int64
	over := make(chan struct{})
	go func() {
		defer close(over)
		noise(ctx, url, &sent, &refused)
	}()
	beside, err := steady(ctx, url, "beside")
	stop()
	<-over
	if err != nil {
		return nil, err
	}
	a, b := quantile(alone, .99), quantile(beside, .99)
	return []Line{
		{"flood_quiet_p99_alone", a, "ms"},
		{"flood_quiet_p99", b, "ms"},
		{"flood_quiet_ratio", b / a, "ratio"},
		{"flood_sent", float64(sent.Load()), "events"},
		{"flood_refused", float64(refused.Load()), "events"},
	}, nil
}

func tracked(key string) sender {
	return sender{path: "/v1/track", body: func(id string) string {
		return `{"type":"track","messageId":"` + id + `","anonymousId":"` + id + `","event":"Seen","writeKey":"` + key + `"}`
	}, sign: func(_ string, _ []byte, h http.Header) { h.Set("Content-Type", "application/json") }}
}

// steady sends as the quiet source does, and measures each answer.
func steady(ctx context.Context, url, prefix string) ([]time.Duration, error) {
	c, answered := client(), make(chan string, 16)
	return paced(ctx, pace{rate: quietRate, journeys: 5 * quietRate, prefix: prefix}, answered, func(id string) error {
		status, err := deliver(ctx, c, url, tracked("quiet"), id)
		if err == nil && status/100 != 2 {
			err = fmt.Errorf("the quiet source was answered %d", status)
		}
		answered <- id
		return err
	})
}

// noise sends as the noisy source does until ctx ends, whatever it is answered.
func noise(ctx context.Context, url string, sent, refused *atomic.Int64) {
	c := client()
	tick := time.NewTicker(time.Second / (quietRate * flood))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		go func() {
			status, err := deliver(ctx, c, url, tracked("noisy"), "noise-"+strconv.Itoa(n))
			if err != nil {
				return // the end of the flood cuts some off
			}
			sent.Add(1)
			if status == http.StatusTooManyRequests {
				refused.Add(1)
			}
		}()
	}
}
