package e2e

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/pkg/access"
	"github.com/nurturehq/nurture/services/nurture/internal/box"
	"github.com/nurturehq/nurture/services/nurture/internal/crmdesk"
)

// accessFile is a file with the tokens of those who call in a test.
type accessFile struct{ file, services, sales, read string }

func newAccessFile(t *testing.T, dir string) accessFile {
	t.Helper()
	a := accessFile{file: filepath.Join(dir, "access.yaml")}
	var raw []byte
	enter := func(name string, roles ...access.Role) string {
		token := access.Mint(name)
		var err error
		if raw, err = access.Added(a.file, raw, access.Entry{Name: name, Roles: roles, Created: "2026-11-25"}, token); err != nil {
			t.Fatal(err)
		}
		return token
	}
	a.services = enter("services", access.Personal, access.Send, access.Operate)
	a.sales = enter("desk", access.Sales, access.Read)
	a.read = enter("grafana", access.Read)
	if err := os.WriteFile(a.file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// statusOf asks for a path and says what status came; token may be empty.
func statusOf(t *testing.T, method, address, token, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0 // nobody answers yet
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// onlyWithToken asks every service without a token and with one.
func (c *cluster) onlyWithToken() {
	c.t.Helper()
	for service, path := range map[string]string{
		"ingest": "/v1/leads/x", "scoring": "/v1/scores/x", "campaign": "/v1/programs", "handoff": "/v1/handoffs/x",
	} {
		at := "http://" + c.ports[service+" http"]
		if got := statusOf(c.t, http.MethodGet, at+path, "", ""); got != http.StatusUnauthorized {
			c.t.Errorf("%s without a token: %d", service, got)
		}
		if got := statusOf(c.t, http.MethodGet, at+path, c.access.services, ""); got != http.StatusOK && got != http.StatusNotFound {
			c.t.Errorf("%s with one: %d", service, got)
		}
		for path, want := range map[string]int{"/metrics": http.StatusUnauthorized, "/healthz": http.StatusOK, "/readyz": http.StatusOK} {
			if got := statusOf(c.t, http.MethodGet, at+path, "", ""); got != want {
				c.t.Errorf("%s%s without a token: %d, want %d", service, path, got, want)
			}
		}
		if got := statusOf(c.t, http.MethodGet, at+"/metrics", c.access.read, ""); got != http.StatusOK {
			c.t.Errorf("%s/metrics with a token: %d", service, got)
		}
	}
}

// With an access file in its configuration directory everything in one process
// goes on working, the buttons of the CRM desk among it, and strangers are asked
// for a token.
func TestOneProcessWithTokensWorksForThoseWhoHaveOne(t *testing.T) {
	config := t.TempDir()
	if err := os.CopyFS(config, os.DirFS(example(t))); err != nil {
		t.Fatal(err)
	}
	tokens := newAccessFile(t, config)
	b, err := box.Open(t.Context(), box.Options{
		Data: t.TempDir(), Config: config, NATSPort: -1, Doors: box.AnyDoors(), TimeScale: box.StoryScale, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	wait := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !done(); {
			if time.Now().After(deadline) {
				t.Fatalf("not in time: %s", what)
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	const form = `{"form":"demo","email":"jo@acme.example","first_name":"Jo","company":"Acme","consent_marketing_email":"yes"}`
	wait("the form is open to everybody", func() bool {
		return statusOf(t, http.MethodPost, b.URL(box.IngestHTTP)+"/v1/forms/website", "", form) == http.StatusOK
	})
	wait("sales has the lead, with its dossier", func() bool { return b.Desk.Counts().Leads > 0 })
	lead := ""
	wait("the desk has answered", func() bool {
		events, err := b.Desk.Wait(t.Context(), 0)
		if err != nil {
			return false
		}
		lead = events[0].Lead
		_, err = b.Desk.Answer(t.Context(), crmdesk.Answer{Lead: lead, Verdict: crmdesk.Accept, By: "jo"})
		return err == nil
	})
	at := b.URL(box.HandoffHTTP) + "/v1/handoffs/" + lead
	for _, c := range []struct {
		who, token, path string
		want             int
	}{
		{"a stranger", "", "", http.StatusUnauthorized},
		{"a stranger", "", "/dossier", http.StatusUnauthorized},
		{"the dashboard", tokens.read, "", http.StatusOK},
		{"the dashboard", tokens.read, "/dossier", http.StatusForbidden},
		{"a service", tokens.services, "/dossier", http.StatusOK},
	} {
		if got := statusOf(t, http.MethodGet, at+c.path, c.token, ""); got != c.want {
			t.Errorf("%s at %s: %d, want %d", c.who, c.path, got, c.want)
		}
	}
	if got := statusOf(t, http.MethodPost, b.URL(box.IngestHTTP)+"/v1/leads/"+lead+":erase", tokens.services, "{}"); got != http.StatusForbidden {
		t.Errorf("a service erases: %d", got)
	}
}
