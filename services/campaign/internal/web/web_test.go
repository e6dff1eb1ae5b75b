package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/feed"
	"github.com/nurturehq/nurture/services/campaign/internal/link"
	"github.com/nurturehq/nurture/services/campaign/internal/web"
)

// desk is a site with everything it tells written down.
type desk struct {
	ingestv1.IngestServiceClient
	links   *link.Signer
	url     string
	told    []feed.Did
	consent []*ingestv1.RecordConsentRequest
	down    error
	refuses func() error // asked before each event is told
	handler http.Handler
	clock   time.Time

	updated   []*ingestv1.UpdatePreferencesRequest
	confirmed []*ingestv1.ConfirmConsentRequest
	asked     int
}

func (d *desk) RecordConsent(_ context.Context, in *ingestv1.RecordConsentRequest, _ ...grpc.CallOption) (*ingestv1.RecordConsentResponse, error) {
	if d.down != nil {
		return nil, d.down
	}
	d.consent = append(d.consent, in)
	return &ingestv1.RecordConsentResponse{}, nil
}

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func newDesk(t *testing.T) *desk {
	t.Helper()
	links, err := link.NewSigner([]string{strings.Repeat("ab", 32)})
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{links: links}
	d.handler = web.Handler(deskDeps(d, web.Deps{
		Links: links, Ingest: d, Log: slog.New(slog.DiscardHandler), Company: "Acme",
		Tell: func(_ context.Context, one feed.Did) error {
			if d.down != nil {
				return d.down
			}
			if d.refuses != nil {
				if err := d.refuses(); err != nil {
					return err
				}
			}
			d.told = append(d.told, one)
			return nil
		},
	}))
	srv := httptest.NewServer(d.handler)
	t.Cleanup(srv.Close)
	d.url = srv.URL
	return d
}

func (d *desk) token(kind link.Kind, target string) string {
	return d.links.Sign(link.Token{Kind: kind, Lead: "lead-1", Touch: "lead-1-t1", Program: "welcome", Step: "hello", Target: target})
}

func (d *desk) ask(t *testing.T, method, path, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp, string(raw)
}

func TestAClickIsToldAndSentOn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	resp, _ := d.ask(t, http.MethodGet, "/t/c/"+d.token(link.Click, "https://acme.example/a?b=c"), "")
	if resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "https://acme.example/a?b=c" {
		t.Errorf("status %d, location %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	want := []feed.Did{{Lead: "lead-1", Type: feed.Clicked, Touch: "lead-1-t1", Program: "welcome", Step: "hello", URL: "https://acme.example/a?b=c", At: now}}
	if diff := cmp.Diff(want, d.told, cmpopts.IgnoreFields(feed.Did{}, "Hit")); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestAnAnswerSaysWhetherTheHitIsDurable(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, path := range []string{
		"/t/c/" + d.token(link.Click, "https://acme.example"), "/t/o/" + d.token(link.Open, "") + ".gif", "/t/x/" + d.token(link.Trap, ""),
	} {
		for down, want := range map[error]string{nil: "told", errors.New("no log"): "lost"} {
			d.down = down
			if resp, _ := d.ask(t, http.MethodGet, path, ""); resp.Header.Get("Nurture-Hit") != want {
				t.Errorf("%s with %v: %q, want %q", path[:5], down, resp.Header.Get("Nurture-Hit"), want)
			}
		}
	}
}

func TestAClickWaitsForALogThatIsAwayForAMoment(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	away := 2
	d.refuses = func() error {
		if away--; away >= 0 {
			return fmt.Errorf("tell: %w", bus.ErrUnavailable)
		}
		return nil
	}
	resp, _ := d.ask(t, http.MethodGet, "/t/c/"+d.token(link.Click, "https://acme.example"), "")
	if resp.StatusCode != http.StatusFound || resp.Header.Get("Nurture-Hit") != "told" || len(d.told) != 1 {
		t.Errorf("status %d, %q, told %v", resp.StatusCode, resp.Header.Get("Nurture-Hit"), d.told)
	}
}

func TestAPersonArrivesEvenWhenTheClickCannotBeStored(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.down = errors.New("no log")
	if resp, _ := d.ask(t, http.MethodGet, "/t/c/"+d.token(link.Click, "https://acme.example"), ""); resp.StatusCode != http.StatusFound {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestALinkThatWeDidNotSignLeadsNowhere(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	good := d.token(link.Click, "https://acme.example")
	for _, path := range []string{
		"/t/c/" + good[:len(good)-2], "/t/c/" + d.token(link.Open, ""), "/t/c/" + d.token(link.Click, "javascript:alert(1)"),
		"/t/c/https:%2F%2Fevil.example", "/t/o/nothing.gif", "/u/" + good,
	} {
		resp, _ := d.ask(t, http.MethodGet, path, "")
		if resp.StatusCode != http.StatusNotFound || resp.Header.Get("Location") != "" {
			t.Errorf("%s: status %d, location %q", path, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
	if d.told != nil {
		t.Errorf("told %v", d.told)
	}
}

func TestAnOpenIsToldAndAnsweredWithAPixel(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	resp, body := d.ask(t, http.MethodGet, "/t/o/"+d.token(link.Open, "")+".gif", "")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "image/gif" || !strings.HasPrefix(body, "GIF89a") {
		t.Errorf("status %d, type %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	if len(d.told) != 1 || d.told[0].Type != feed.Opened {
		t.Errorf("told %v", d.told)
	}
}

func TestOnlyAPostUnsubscribes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path := "/u/" + d.token(link.Unsubscribe, "marketing_email")
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		resp, body := d.ask(t, method, path, "")
		if resp.StatusCode != http.StatusOK || method == http.MethodGet && !strings.Contains(body, `<form method="post"><button type="submit">Unsubscribe`) {
			t.Errorf("%s: status %d, body %s", method, resp.StatusCode, body)
		}
	}
	if d.consent != nil {
		t.Fatalf("looking at the page took consent back: %v", d.consent)
	}
	for body, how := range map[string]string{"List-Unsubscribe=One-Click": "one_click", "": "page"} {
		d.consent = nil
		if resp, _ := d.ask(t, http.MethodPost, path, body); resp.StatusCode != http.StatusOK {
			t.Errorf("POST %q: status %d", body, resp.StatusCode)
		}
		if len(d.consent) != 1 {
			t.Fatalf("POST %q: recorded %v", body, d.consent)
		}
		got := d.consent[0]
		if got.GetLeadId() != "lead-1" || got.GetConsent().GetGranted() || got.GetConsent().GetPurpose() != "marketing_email" ||
			got.GetConsent().GetMethod() != how || got.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
			t.Errorf("POST %q: recorded %v", body, got)
		}
	}
}

func TestAnUnsubscriptionThatIsNotDurableIsNotConfirmed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.down = errors.New("no log")
	resp, body := d.ask(t, http.MethodPost, "/u/"+d.token(link.Unsubscribe, "marketing_email"), "List-Unsubscribe=One-Click")
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || strings.Contains(body, "Done") {
		t.Errorf("status %d, body %s", resp.StatusCode, body)
	}
}

func TestAPostDoesNotUnsubscribeWithAnotherLink(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, token := range []string{d.token(link.Click, "https://acme.example"), "x", d.token(link.Unsubscribe, "p") + "A"} {
		if resp, _ := d.ask(t, http.MethodPost, "/u/"+token, ""); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", token, resp.StatusCode)
		}
	}
	if d.consent != nil {
		t.Errorf("recorded %v", d.consent)
	}
}
