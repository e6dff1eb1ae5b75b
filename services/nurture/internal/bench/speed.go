package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Speed measures speed-to-lead: from just before the form is posted until the
// signed webhook arrives at the CRM, beside the same number of bare durable hops.
func Speed(ctx context.Context, config string) ([]Line, error) {
	var lines []Line
	for _, rate := range []float64{50, 200} {
		bare, err := bareHops(ctx, rate)
		if err != nil {
			return nil, err
		}
		took, more, err := speedToLead(ctx, config, rate)
		if err != nil {
			return nil, err
		}
		at := fmt.Sprintf("_%.0f", rate)
		lines = append(lines,
			Line{"speed_to_lead_p50" + at, quantile(took, .5), "ms"},
			Line{"speed_to_lead_p99" + at, quantile(took, .99), "ms"},
			Line{"engine_hops_p50" + at, quantile(bare, .5), "ms"},
			Line{"engine_hops_p99" + at, quantile(bare, .99), "ms"},
			Line{"speed_vs_hops" + at, quantile(took, .5) / quantile(bare, .5), "ratio"},
		)
		lines = append(lines, more...)
	}
	return lines, nil
}

func tenSeconds(rate float64) pace { return pace{rate: rate, journeys: int(10 * rate), prefix: "lead"} }

// bareHops counts what a lead has to pass at least: its identity, its record,
// its score, its handoff.
func bareHops(ctx context.Context, rate float64) ([]time.Duration, error) {
	r, err := newRig(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return hops(ctx, r.bus, 4, tenSeconds(rate))
}

// speedToLead also counts the durable messages that a ready lead costs, and says
// where its time goes.
func speedToLead(ctx context.Context, config string, rate float64) (took []time.Duration, lines []Line, err error) {
	p, err := newPlatform(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	defer p.close()
	arrived := make(chan string, 10000)
	if err := p.startAll(ctx, config, arrived); err != nil {
		return nil, nil, err
	}
	c := client()
	ask := func(id string) error { return askForDemo(ctx, c, p.ingestURL, id) }
	if _, err := paced(ctx, pace{rate: 20, journeys: 40, prefix: "warm"}, arrived, ask); err != nil {
		return nil, nil, err
	}
	before, err := p.quiet(ctx)
	if err != nil {
		return nil, nil, err
	}
	began, err := cpuTime()
	if err != nil {
		return nil, nil, err
	}
	if took, err = paced(ctx, tenSeconds(rate), arrived, ask); err != nil {
		return nil, nil, err
	}
	at := fmt.Sprintf("_%.0f", rate)
	cpu, err := cpuEach("cpu_per_ready_lead"+at, began, len(took))
	if err != nil {
		return nil, nil, err
	}
	after, err := p.quiet(ctx)
	if err != nil {
		return nil, nil, err
	}
	legs, err := p.stations(ctx, at)
	return took, slices.Concat(after.each("messages_per_ready_lead"+at, before, len(took)), []Line{cpu}, legs), err
}

// startAll starts all services, and sinks for what they send.
func (p *platform) startAll(ctx context.Context, config string, arrived chan<- string) error {
	hook, err := p.crmSink(ctx, arrived)
	if err != nil {
		return err
	}
	sink, err := p.smtpSink(ctx)
	if err != nil {
		return err
	}
	routes, err := p.wideRoutes()
	if err != nil {
		return err
	}
	if err := p.startScoring(ctx); err != nil {
		return err
	}
	if err := p.startCampaign(ctx, filepath.Join(config, "programs"), sink.addr); err != nil {
		return err
	}
	return p.startHandoff(ctx, routes, hook)
}

// askForDemo fills in the form of the fast track.
func askForDemo(ctx context.Context, c *http.Client, base, id string) error {
	form := url.Values{"email": {id + "@acme.example"}, "name": {"Robin Example"}, "company": {"Acme"}, "consent_marketing_email": {"on"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/forms/demo", strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("build form: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("post form: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("post form: %s", resp.Status)
	}
	return nil
}

// wideRoutes is a team that never fills up.
func (p *platform) wideRoutes() (string, error) {
	file := filepath.Join(p.dir, "routes.yaml")
	text := "reps:\n  - {id: ada, name: Ada, weight: 1, capacity: 1000000}\n  - {id: bo, name: Bo, weight: 1, capacity: 1000000}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write routes: %w", err)
	}
	return file, nil
}
