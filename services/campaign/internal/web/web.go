// Package web is what leads reach from their mails: links, the open pixel, and
// the page to unsubscribe. Only a POST unsubscribes: scanners follow every link.
package web

import (
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/feed"
	"github.com/nurturehq/nurture/services/campaign/internal/link"
)

// Deps are what the pages work with.
type Deps struct {
	Links  *link.Signer
	Ingest ingestv1.IngestServiceClient
	Tell   func(ctx context.Context, d feed.Did) error
	Log    *slog.Logger
	Now    func() time.Time
	// Company is named on the page to unsubscribe.
	Company string
	// Proxies are the networks of our own proxies: they say where a visitor comes
	// from.
	Proxies []netip.Prefix
}

// tellTimeout bounds how long a click waits for its event to be durable, tellPause
// is what it waits before it tries again while the log is not there: a server
// that starts again takes a second.
const (
	tellTimeout = 3 * time.Second
	tellPause   = 100 * time.Millisecond
)

// hitHeader says in an answer whether the hit is durable: a click leads on also
// when it could not be stored.
const (
	hitHeader = "Nurture-Hit"
	hitTold   = "told"
	hitLost   = "lost"
)

// maxBody is more than any mail program posts to unsubscribe, in bytes.
const maxBody = 4 << 10

type pages struct {
	Deps
	layout *template.Template
	hits   metric.Int64Counter
	crowds crowds
}

// Handler serves /t/c/, /t/o/, /t/x/, /u/, /confirm/ and /preferences/.
func Handler(d Deps) *http.ServeMux {
	p := &pages{Deps: d, layout: newLayout(), hits: counter("nurture_campaign_web_hits", "Links of mails that were followed, by what came of it.")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /t/c/{token}", p.click)
	mux.HandleFunc("GET /t/o/{token}", p.open)
	mux.HandleFunc("GET /t/x/{token}", p.trap)
	mux.HandleFunc("GET /u/{token}", p.askUnsubscribe)
	mux.HandleFunc("POST /u/{token}", p.unsubscribe)
	mux.HandleFunc("GET /confirm/{token}", p.askConfirm)
	mux.HandleFunc("POST /confirm/{token}", p.confirm)
	mux.HandleFunc("GET /preferences/{token}", p.askPreferences)
	mux.HandleFunc("POST /preferences/{token}", p.preferences)
	return mux
}

// click tells ingest and sends the browser on. The person must arrive even when
// the event cannot be stored: that is counted.
func (p *pages) click(w http.ResponseWriter, r *http.Request) {
	tok, err := p.Links.Verify(link.Click, r.PathValue("token"))
	if err != nil {
		p.refuse(w, r, "click")
		return
	}
	w.Header().Set(hitHeader, p.tell(r, tok, feed.Did{Type: feed.Clicked, URL: tok.Target}))
	secure(w)
	w.Header().Set("Location", tok.Target)
	w.WriteHeader(http.StatusFound)
}

func (p *pages) open(w http.ResponseWriter, r *http.Request) {
	const suffix = ".gif"
	text := r.PathValue("token")
	if len(text) > len(suffix) && text[len(text)-len(suffix):] == suffix {
		text = text[:len(text)-len(suffix)]
	}
	tok, err := p.Links.Verify(link.Open, text)
	if err != nil {
		p.refuse(w, r, "open")
		return
	}
	w.Header().Set(hitHeader, p.tell(r, tok, feed.Did{Type: feed.Opened}))
	secure(w)
	w.Header().Set("Content-Type", "image/gif")
	_, _ = w.Write(pixel()) // whoever does not wait for his pixel does not want it
}

// trap is the link that no reader sees. Whoever follows it learns nothing.
func (p *pages) trap(w http.ResponseWriter, r *http.Request) {
	tok, err := p.Links.Verify(link.Trap, r.PathValue("token"))
	if err != nil {
		p.refuse(w, r, "trap")
		return
	}
	w.Header().Set(hitHeader, p.tell(r, tok, feed.Did{Type: feed.Clicked}))
	p.page(w, http.StatusOK, page{Title: "Nothing here", Text: "There is nothing to see here. Please go back to the mail.", Company: p.Company})
}

// tell goes on when the reader has hung up: what it did, it did. It answers
// whether that is durable: hitTold or hitLost.
func (p *pages) tell(r *http.Request, tok link.Token, d feed.Did) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), tellTimeout)
	defer cancel()
	d.Lead, d.Touch, d.Program, d.Step, d.At = tok.Lead, tok.Touch, tok.Program, tok.Step, p.Now()
	d.Hit = p.evidence(r, tok, d.At)
	if err := p.insist(ctx, d); err != nil {
		p.Log.ErrorContext(ctx, "an event of a mail was lost", "lead_id", tok.Lead, "touch_id", tok.Touch, "type", d.Type, "error", err)
		p.count(ctx, d.Type, hitLost)
		return hitLost
	}
	p.count(ctx, d.Type, hitTold)
	return hitTold
}

// insist tells until the log takes it or ctx ends. Told twice it is one event.
func (p *pages) insist(ctx context.Context, d feed.Did) error {
	for {
		err := p.Tell(ctx, d)
		if err == nil || !errors.Is(err, bus.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(tellPause):
		}
	}
}

// askUnsubscribe shows a page with a button. Looking at it changes nothing.
func (p *pages) askUnsubscribe(w http.ResponseWriter, r *http.Request) {
	if _, err := p.Links.Verify(link.Unsubscribe, r.PathValue("token")); err != nil {
		p.refuse(w, r, "unsubscribe_page")
		return
	}
	p.page(w, http.StatusOK, page{Title: "Unsubscribe", Text: "Press the button and we will send you no more of these mails.", Button: true, Company: p.Company})
}

// unsubscribe takes the consent back, durably, before it answers. The body may
// be that of RFC 8058 or of our own button: the link says enough.
func (p *pages) unsubscribe(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	tok, err := p.Links.Verify(link.Unsubscribe, r.PathValue("token"))
	if err != nil {
		p.refuse(w, r, "unsubscribe")
		return
	}
	method := "page"
	if r.FormValue("List-Unsubscribe") == "One-Click" {
		method = "one_click"
	}
	if err := p.leave(r, tok, method); err != nil {
		p.Log.ErrorContext(r.Context(), "unsubscribe", "lead_id", tok.Lead, "touch_id", tok.Touch, "error", err)
		p.count(r.Context(), "unsubscribe", "failed")
		w.Header().Set("Retry-After", "5")
		p.page(w, http.StatusServiceUnavailable, page{Title: "Not yet", Text: "We could not record this just now. Please press the button once more in a moment.", Button: true, Company: p.Company})
		return
	}
	p.count(r.Context(), "unsubscribe", method)
	p.page(w, http.StatusOK, page{Title: "Done", Text: "You will get no more of these mails.", Company: p.Company})
}

// leave takes one purpose back, and everything when the mail had none.
func (p *pages) leave(r *http.Request, tok link.Token, method string) (err error) {
	if tok.Target != "" {
		_, err = p.Ingest.RecordConsent(r.Context(), withdrawal(tok, method, p.Now()))
		return err
	}
	_, err = p.Ingest.UpdatePreferences(r.Context(), &ingestv1.UpdatePreferencesRequest{
		LeadId: tok.Lead, UnsubscribeAll: true, How: p.how(r, tok, method),
	})
	return err
}

func withdrawal(tok link.Token, method string, now time.Time) *ingestv1.RecordConsentRequest {
	return &ingestv1.RecordConsentRequest{
		LeadId: tok.Lead,
		Consent: &leadv1.Consent{
			Purpose: tok.Target, Granted: false, Source: "campaign", Method: method,
			Channel: "email", Proof: tok.Touch, Text: "Unsubscribed from the mail of touch " + tok.Touch, At: timestamppb.New(now),
		},
	}
}

func (p *pages) refuse(w http.ResponseWriter, r *http.Request, what string) {
	p.count(r.Context(), what, "invalid_link")
	p.page(w, http.StatusNotFound, page{Title: "This link does not work", Text: "It is incomplete or was changed on its way. Please open it from the mail again.", Company: p.Company})
}

func (p *pages) count(ctx context.Context, what, result string) {
	p.hits.Add(ctx, 1, metric.WithAttributes(attribute.String("what", what), attribute.String("result", result)))
}

type page struct {
	Title, Text, Company string
	Button               bool
	// Action and Label make another button than that to unsubscribe.
	Action, Label string
	// Choices are the purposes of the preference page; Notice what was done, Left
	// that all mails are forbidden.
	Choices         []choice
	Notice, Version string
	Left            bool
}

func (p *pages) page(w http.ResponseWriter, status int, content page) {
	secure(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	w.WriteHeader(status)
	if err := p.layout.Execute(w, content); err != nil {
		p.Log.Warn("write page", "error", err)
	}
}

// secure keeps tokens out of caches and of other sites' logs.
func secure(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store, private")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Robots-Tag", "noindex")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

//go:embed page.html
var layout string

func newLayout() *template.Template { return template.Must(template.New("page").Parse(layout)) }

// pixel is a transparent GIF of one by one.
func pixel() []byte {
	raw, err := base64.StdEncoding.DecodeString("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
	if err != nil {
		return nil
	}
	return raw
}

func counter(name, help string) metric.Int64Counter {
	c, err := otel.Meter("github.com/nurturehq/nurture/services/campaign").Int64Counter(name, metric.WithDescription(help))
	if err != nil {
		return noop.Int64Counter{}
	}
	return c
}
