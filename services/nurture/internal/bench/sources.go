package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	perSource = 3000
	signedBy  = "a secret of the bench"
)

// sender writes the message of one new person as one kind of source sends it.
type sender struct {
	kind, path string
	body       func(id string) string
	sign       func(id string, body []byte, h http.Header)
}

func senders() []sender {
	json := func(_ string, _ []byte, h http.Header) { h.Set("Content-Type", "application/json") }
	return []sender{
		{
			"form", "/v1/forms/site", func(id string) string {
				return "email=" + id + "%40acme.example&first_name=Jo&company=Acme&consent=yes"
			},
			func(_ string, _ []byte, h http.Header) {
				h.Set("Content-Type", "application/x-www-form-urlencoded")
				h.Set("Accept", "application/json")
			},
		},
		{"segment", "/v1/identify?writeKey=app", func(id string) string {
			return `{"type":"identify","messageId":"` + id + `","userId":"` + id + `","traits":{"email":"` + id + `@acme.example"}}`
		}, json},
		{"posthog", "/batch", func(id string) string {
			return `{"api_key":"app","batch":[{"uuid":"` + id + `","event":"$pageview","distinct_id":"` + id + `","properties":{"$current_url":"https://www.example.com/pricing"}}]}`
		}, json},
		{"google_ads", "/v1/hooks/ads", func(id string) string {
			return `{"lead_id":"` + id + `","google_key":"` + signedBy + `","user_column_data":[{"column_id":"EMAIL","string_value":"` + id + `@acme.example"}]}`
		}, json},
		{"typeform", "/v1/hooks/questions", func(id string) string {
			return `{"event_type":"form_response","form_response":{"token":"` + id + `","answers":[{"type":"email","email":"` + id + `@acme.example","field":{"ref":"m"}}]}}`
		}, func(_ string, body []byte, h http.Header) {
			h.Set("Typeform-Signature", "sha256="+base64.StdEncoding.EncodeToString(mac(body)))
		}},
		{
			"webhook", "/v1/hooks/partner", func(id string) string { return `{"email":"` + id + `@acme.example","company":"Acme"}` },
			func(id string, body []byte, h http.Header) {
				at := strconv.FormatInt(time.Now().Unix(), 10)
				h.Set("Webhook-Id", id)
				h.Set("Webhook-Timestamp", at)
				h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac([]byte(id+"."+at+"."), body)))
			},
		},
	}
}

func mac(parts ...[]byte) []byte {
	m := hmac.New(sha256.New, []byte(signedBy))
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// sourcesFile writes a sources.yaml with all of them.
func (r *rig) sourcesFile() (string, error) {
	secret := filepath.Join(r.dir, "secret")
	if err := os.WriteFile(secret, []byte(signedBy), 0o600); err != nil {
		return "", fmt.Errorf("write secret: %w", err)
	}
	key := func(k string) string {
		sum := sha256.Sum256([]byte(k))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	hook := "secrets: [{file: secret}], limits: {events_per_second: 1e6, burst: 1e6}}\n"
	file := filepath.Join(r.dir, "sources.yaml")
	text := "sources:\n" +
		"  site: {form: {consents: [{field: consent, purpose: marketing_email, text: Yes}]}}\n" +
		"  app: {keys: [" + key("app") + "]}\n" +
		"  ads: {kind: google_ads, " + hook + "  questions: {kind: typeform, " + hook + "  partner: {kind: webhook, " + hook +
		"  quiet: {keys: [" + key("quiet") + "]}\n" +
		fmt.Sprintf("  noisy: {keys: [%s], limits: {events_per_second: %d, burst: %d}}\n", key("noisy"), quietRate, quietRate)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write sources: %w", err)
	}
	return file, nil
}

// deliver sends one message and gives the status.
func deliver(ctx context.Context, c *http.Client, url string, s sender, id string) (int, error) {
	body := []byte(s.body(id))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+s.path, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("build request: %w", err)
	}
	s.sign(id, body, req.Header)
	resp, err := c.Do(req)
	if err != nil {
		return 0, fmt.Errorf("post: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusTooManyRequests {
		return 0, fmt.Errorf("post %s: %s: %s", s.path, resp.Status, answer)
	}
	return resp.StatusCode, nil
}

// Sources measures how fast each kind of source is taken, all of them mixed, and
// what a source that sends ten times what it may costs another.
func Sources(ctx context.Context, _ string) ([]Line, error) {
	r, err := newRig(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	file, err := r.sourcesFile()
	if err != nil {
		return nil, err
	}
	url, _, err := r.startIngest(ctx, file)
	if err != nil {
		return nil, err
	}
	c := client()
	all := senders()
	var lines []Line
	for _, s := range all {
		rate, _, err := closed(32, perSource, func(w, i int) error {
			_, err := deliver(ctx, c, url, s, fmt.Sprintf("%s-%d-%d", strings.ReplaceAll(s.kind, "_", "-"), w, i))
			return err
		})
		if err != nil {
			return nil, err
		}
		lines = append(lines, Line{"ingest_source_" + s.kind, rate, "accepts/s"})
	}
	rate, took, err := closed(32, perSource, func(w, i int) error {
		_, err := deliver(ctx, c, url, all[(w+i)%len(all)], fmt.Sprintf("mix-%d-%d", w, i))
		return err
	})
	if err != nil {
		return nil, err
	}
	lines = append(lines, Line{"ingest_mixed", rate, "accepts/s"}, Line{"ingest_mixed_p99", quantile(took, .99), "ms"})
	more, err := flooded(ctx, url)
	return append(lines, more...), err
}
