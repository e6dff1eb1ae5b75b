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
	// floodRounds is odd, for a median.
	floodRounds = 5
)

// flooded lets a quiet source send alone, beside one that sends what its limits
// allow, and beside one that sends ten times that, in turn: a single stall of the
// disk makes the p99 of a round, so the medians of several count. The burst that
// the limits allow at first is no part of it.
func flooded(ctx context.Context, url string) ([]Line, error) {
	var alone, within, beside, ratios, excess []float64
	var sent, refused int64
	for n := range floodRounds {
		took, err := steady(ctx, url, fmt.Sprintf("alone-%d", n))
		if err != nil {
			return nil, err
		}
		calm := &deluge{rate: quietRate, prefix: fmt.Sprintf("calm-%d-", n)}
		beCalm, err := calm.beside(ctx, url, fmt.Sprintf("within-%d", n))
		if err != nil {
			return nil, err
		}
		noise := &deluge{rate: flood * quietRate, prefix: fmt.Sprintf("noise-%d-", n)}
		beNoise, err := noise.beside(ctx, url, fmt.Sprintf("beside-%d", n))
		if err != nil {
			return nil, err
		}
		a, w, b := quantile(took, .99), quantile(beCalm, .99), quantile(beNoise, .99)
		alone, within, beside = append(alone, a), append(within, w), append(beside, b)
		ratios, excess = append(ratios, b/a), append(excess, b/w)
		sent, refused = sent+noise.sent.Load(), refused+noise.refused.Load()
	}
	return []Line{
		{"flood_quiet_p99_alone", median(alone), "ms"},
		{"flood_quiet_p99_within", median(within), "ms"},
		{"flood_quiet_p99", median(beside), "ms"},
		{"flood_quiet_ratio", median(ratios), "ratio"},
		{"flood_excess_ratio", median(excess), "ratio"},
		{"flood_sent", float64(sent), "events"},
		{"flood_refused", float64(refused), "events"},
	}, nil
}

// deluge is what the noisy source sends, whatever it is answered.
type deluge struct {
	rate          int // a second
	prefix        string
	sent, refused atomic.Int64
}

// beside measures the quiet source while the noisy one sends.
func (d *deluge) beside(ctx context.Context, url, prefix string) ([]time.Duration, error) {
	ctx, stop := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		d.send(ctx, url)
	}()
	defer func() { stop(); <-over }()
	warm := func() (bool, error) {
		return d.refused.Load() > 0 || d.rate <= quietRate && d.sent.Load() > quietRate, nil
	}
	if err := until(ctx, "the noisy source has used up its burst", warm); err != nil {
		return nil, err
	}
	return steady(ctx, url, prefix)
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

// send sends until ctx ends.
func (d *deluge) send(ctx context.Context, url string) {
	c := client()
	tick := time.NewTicker(time.Second / time.Duration(d.rate))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		go func() {
			status, err := deliver(ctx, c, url, tracked("noisy"), d.prefix+strconv.Itoa(n))
			if err != nil {
				return // the end of the flood cuts some off
			}
			d.sent.Add(1)
			if status == http.StatusTooManyRequests {
				d.refused.Add(1)
			}
		}()
	}
}
