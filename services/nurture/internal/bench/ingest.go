package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nurturehq/nurture/services/ingest"
)

const (
	singles   = 15000
	batches   = 600
	perBatch  = 100
	eventSize = 400
)

// startIngest runs ingest and returns its base URL.
func (r *rig) startIngest(ctx context.Context, sources string) (url, grpc string, err error) {
	web, err := listen(ctx)
	if err != nil {
		return "", "", err
	}
	rpc, err := listen(ctx)
	if err != nil {
		return "", "", err
	}
	b, err := r.connect(ctx, "ingest")
	if err != nil {
		return "", "", err
	}
	cfg := ingest.DefaultConfig()
	cfg.Sources, cfg.IdentityKeyFile, cfg.DataKeyFile = sources, filepath.Join(r.dir, "identity.key"), filepath.Join(r.dir, "data.key")
	s, err := ingest.New(cfg, ingest.Deps{Bus: b, Redis: r.redis, Log: r.log, HTTP: web, GRPC: rpc})
	if err != nil {
		return "", "", err
	}
	r.background(ctx, "ingest", s.Run)
	url = "http://" + web.Addr().String()
	return url, rpc.Addr().String(), until(ctx, "ingest is ready", func() (bool, error) { return ready(ctx, url), nil })
}

func ready(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// connections is how many a test keeps alive, at most.
const connections = 64

func client() *http.Client {
	return &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections},
	}
}

// post sends JSON with the example's write key and wants a 2xx.
func post(ctx context.Context, c *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("build request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("product-write-key", "")
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("post %s: %s: %s", url, resp.Status, answer)
	}
	return nil
}

// event is one page view of a visitor never seen, padded to eventSize bytes: it
// makes a lead, by the claim of its anonymous id and a record.
func event(prefix string, w, i int) string {
	head := fmt.Sprintf(`{"type":"page","messageId":"%s-%d-%d","anonymousId":"%s-%d-%d","properties":{"path":"/pricing","title":"`,
		prefix, w, i, prefix, w, i)
	return head + strings.Repeat("x", max(eventSize-len(head)-3, 1)) + `"}}`
}

// unlimited copies a sources.yaml without the usual limit of a source: what is
// measured is faster.
func (r *rig) unlimited(file string) (string, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // the example's
	if err != nil {
		return "", fmt.Errorf("read sources: %w", err)
	}
	free := filepath.Join(r.dir, "sources.yaml")
	if err := os.WriteFile(free, append(raw, "\nlimits: {events_per_second: 1e6, burst: 1e6}\n"...), 0o600); err != nil {
		return "", fmt.Errorf("write sources: %w", err)
	}
	return free, nil
}

// Ingest measures how fast events are accepted, each durable before its 2xx.
func Ingest(ctx context.Context, config string) ([]Line, error) {
	r, err := newRig(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	sources, err := r.unlimited(filepath.Join(config, "sources.yaml"))
	if err != nil {
		return nil, err
	}
	url, _, err := r.startIngest(ctx, sources)
	if err != nil {
		return nil, err
	}
	c := client()
	if _, _, err := closed(64, 640, func(w, i int) error { return post(ctx, c, url+"/v1/page", []byte(event("warm", w, i))) }); err != nil {
		return nil, err
	}
	one, err := r.acceptEach(ctx, c, url)
	if err != nil {
		return nil, err
	}
	many, err := r.acceptBatches(ctx, c, url)
	return append(one, many...), err
}

// acceptEach measures requests of one event, beside bare publishers.
func (r *rig) acceptEach(ctx context.Context, c *http.Client, url string) ([]Line, error) {
	began, err := cpuTime()
	if err != nil {
		return nil, err
	}
	rate, took, err := closed(64, singles, func(w, i int) error { return post(ctx, c, url+"/v1/page", []byte(event("one", w, i))) })
	if err != nil {
		return nil, err
	}
	cpu, err := cpuEach("cpu_per_accept", began, singles)
	if err != nil {
		return nil, err
	}
	halves, err := r.rawHalves(ctx, singles/2)
	if err != nil {
		return nil, err
	}
	each, err := commitEach(ctx, r.bus, singles, eventSize, 64)
	return []Line{
		{"ingest_http", rate, "accepts/s"},
		{"ingest_http_p50", quantile(took, .5), "ms"},
		{"ingest_http_p99", quantile(took, .99), "ms"},
		cpu,
		{"engine_births_64", halves, "leads/s"},
		{"ingest_http_vs_births", rate / halves, "ratio"},
		{"engine_publish_64", each, "messages/s"},
		{"ingest_http_vs_engine", rate / each, "ratio"},
	}, err
}

// acceptBatches measures requests of many events, beside bare commits.
func (r *rig) acceptBatches(ctx context.Context, c *http.Client, url string) ([]Line, error) {
	began, err := cpuTime()
	if err != nil {
		return nil, err
	}
	posts, took, err := closed(16, batches, func(w, i int) error {
		items := make([]string, perBatch)
		for j := range items {
			items[j] = event("many", w, i*perBatch+j)
		}
		return post(ctx, c, url+"/v1/batch", []byte(`{"batch":[`+strings.Join(items, ",")+`]}`))
	})
	if err != nil {
		return nil, err
	}
	cpu, err := cpuEach("cpu_per_event", began, batches*perBatch)
	if err != nil {
		return nil, err
	}
	same, err := r.rawBirths(ctx, batches*perBatch)
	if err != nil {
		return nil, err
	}
	raw, err := commitRaw(ctx, r.bus, batches*perBatch, eventSize, 1000)
	return []Line{
		{"ingest_batch", posts * perBatch, "events/s"},
		{"ingest_batch_p99", quantile(took, .99), "ms"},
		cpu,
		{"engine_births", same, "leads/s"},
		{"ingest_vs_engine", posts * perBatch / same, "ratio"},
		{"engine_commit", raw, "messages/s"},
		{"ingest_vs_one_message", posts * perBatch / raw, "ratio"},
	}, err
}
