package inbox

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/page"
)

//go:embed list.html
var listPage string

//go:embed mail.html
var mailPage string

// shown is how many mails one list page shows.
const shown = 200

// mailPolicy lets a mail load pictures and its own styles, open links in new
// tabs, and nothing else: no script, no form, no access to this page.
const mailPolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; frame-ancestors 'self'"

func parsePages() (*template.Template, error) {
	return page.Parse(listPage, mailPage, `{{define "main"}}{{if .Mail}}{{template "mail" .}}{{else}}{{template "list" .}}{{end}}{{end}}`)
}

// view is what both pages show.
type view struct {
	Head   page.Head
	Now    time.Time
	Counts Counts
	To     string
	Mails  []*Mail
	Mail   *Mail
	// Notice is the answer to the unsubscribe button.
	Notice string
	Failed bool
}

func (b *Inbox) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", b.list)
	mux.HandleFunc("GET /mails/{id}", b.show)
	mux.HandleFunc("GET /mails/{id}/html", b.html)
	mux.HandleFunc("POST /mails/{id}/unsubscribe", b.unsubscribe)
	mux.HandleFunc("GET /style.css", page.Style)
	return page.Own(http.NewCrossOriginProtection().Handler(mux))
}

func (b *Inbox) list(w http.ResponseWriter, r *http.Request) {
	to := strings.ToLower(strings.TrimSpace(r.URL.Query().Get("to")))
	all, _ := b.store.after(0)
	slices.Reverse(all)
	mails := make([]*Mail, 0, shown)
	for _, m := range all {
		if len(mails) < shown && strings.Contains(m.To, to) {
			mails = append(mails, m)
		}
	}
	b.write(w, view{Head: page.Head{Title: "Inbox", Refresh: 5}, To: to, Mails: mails})
}

func (b *Inbox) show(w http.ResponseWriter, r *http.Request) {
	if m, ok := b.mail(w, r); ok {
		b.write(w, view{Head: page.Head{Title: "Inbox"}, Mail: m})
	}
}

// html is the mail's own page, shown in the sandboxed frame. Links open in new tabs.
func (b *Inbox) html(w http.ResponseWriter, r *http.Request) {
	m, ok := b.mail(w, r)
	if !ok {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", mailPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	fmt.Fprint(w, `<base target="_blank">`, m.HTML)
}

func (b *Inbox) unsubscribe(w http.ResponseWriter, r *http.Request) {
	m, ok := b.mail(w, r)
	if !ok {
		return
	}
	v := view{Head: page.Head{Title: "Inbox"}, Mail: m, Notice: "Unsubscribed: the sender confirmed it."}
	if err := Unsubscribe(r.Context(), b.client, m); err != nil {
		v.Notice, v.Failed = "Not unsubscribed: "+err.Error(), true
	}
	b.write(w, v)
}

// Unsubscribe presses a mail's one-click unsubscribe as RFC 8058 says a mailbox
// provider does: one POST without cookies, redirects not followed into success.
func Unsubscribe(ctx context.Context, client *http.Client, m *Mail) error {
	if m.Unsubscribe == "" || !m.OneClick {
		return fmt.Errorf("the mail offers no one-click unsubscribe")
	}
	form := url.Values{"List-Unsubscribe": {"One-Click"}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Unsubscribe, strings.NewReader(form)) //nolint:gosec // a mail says where to, and this inbox is for development
	if err != nil {
		return fmt.Errorf("build unsubscribe request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req) //nolint:gosec // the same
	if err != nil {
		return fmt.Errorf("post unsubscribe: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 || resp.Request.Method != http.MethodPost {
		return fmt.Errorf("the sender answered %s", resp.Status)
	}
	return nil
}

func (b *Inbox) mail(w http.ResponseWriter, r *http.Request) (*Mail, bool) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		http.Error(w, "A mail's number is a whole number.", http.StatusBadRequest)
		return nil, false
	}
	m, ok := b.store.get(id)
	if !ok {
		http.Error(w, "This mail is not in the inbox: it keeps the latest "+strconv.Itoa(b.opts.Capacity)+".", http.StatusNotFound)
	}
	return m, ok
}

func (b *Inbox) write(w http.ResponseWriter, v view) {
	v.Now, v.Counts = b.opts.Now(), b.store.counts()
	if err := page.Write(w, b.pages, v); err != nil {
		b.opts.Log.Warn("show inbox page", "error", err)
	}
}
