package crmdesk

import (
	_ "embed"
	"errors"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/google/uuid"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/page"
)

//go:embed list.html
var listPage string

//go:embed lead.html
var leadPage string

// shown is how many leads the list shows.
const shown = 200

// WebhookPath is where the desk takes webhooks.
const WebhookPath = "/webhooks/handoff"

func parsePages() (*template.Template, error) {
	return page.Parse(listPage, leadPage, `{{define "main"}}{{if .Lead}}{{template "lead" .}}{{else}}{{template "list" .}}{{end}}{{end}}`)
}

// view is what both pages show.
type view struct {
	Head   page.Head
	Now    time.Time
	Counts Counts
	Cases  []row
	Lead   *file
	// RequestID makes a button pressed twice one answer.
	RequestID string
	Reasons   []leadv1.RejectReason
	Notice    string
	Failed    bool
}

func (d *Desk) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.list)
	mux.HandleFunc("GET /leads/{id}", d.show)
	mux.HandleFunc("POST /leads/{id}", d.answer)
	mux.HandleFunc("POST "+WebhookPath, d.receive)
	mux.HandleFunc("GET /style.css", page.Style)
	return page.Own(http.NewCrossOriginProtection().Handler(mux))
}

// receive takes a webhook: verify, keep, then say 204. The same webhook again
// is 204 too: a retry must not look like a failure.
func (d *Desk) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLine))
	if err != nil {
		http.Error(w, "The webhook is larger than 1 MB.", http.StatusRequestEntityTooLarge)
		return
	}
	if err := d.hook.Verify(body, r.Header); err != nil {
		d.opts.Log.Warn("refused a webhook", "webhook_id", r.Header.Get(webhooks.HeaderWebhookID), "error", err)
		http.Error(w, "The signature does not match: "+err.Error(), http.StatusUnauthorized)
		return
	}
	e, err := decode(body, d.opts.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e.ID = r.Header.Get(webhooks.HeaderWebhookID)
	err = error(nil)
	if e.Type == typeErased {
		err = d.log.forget(e.Lead)
	}
	if err = errors.Join(err, d.log.append(e)); err != nil {
		d.opts.Log.Error("keep a webhook", "webhook_id", e.ID, "error", err)
		http.Error(w, "The desk cannot write its journal.", http.StatusServiceUnavailable)
		return
	}
	d.store.add(e)
	w.WriteHeader(http.StatusNoContent)
}

func (d *Desk) list(w http.ResponseWriter, r *http.Request) {
	cases := d.store.latest(shown)
	v := view{Head: page.Head{Title: "CRM desk", Refresh: 5}}
	leads := make([]string, len(cases))
	for i, c := range cases {
		leads[i] = c.Lead
	}
	if err := d.look(r.Context(), leads); err != nil {
		v.Notice, v.Failed = "The states below may be old: "+err.Error(), true
	}
	for _, c := range d.store.latest(shown) {
		v.Cases = append(v.Cases, newRow(c))
	}
	d.write(w, v)
}

func (d *Desk) show(w http.ResponseWriter, r *http.Request) { d.file(w, r, "", false) }

// answer is a button: it tells handoff and shows the dossier again.
func (d *Desk) answer(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	a := Answer{
		Lead: r.PathValue("id"), Verdict: Verdict(r.FormValue("verdict")), Text: r.FormValue("text"),
		Reason: leadv1.RejectReason(leadv1.RejectReason_value[r.FormValue("reason")]),
		By:     "crm-desk", RequestID: r.FormValue("request_id"),
	}
	if a.Verdict == Won {
		a.AmountMinor, a.Currency = 1_000_000, "EUR"
	}
	if _, err := d.Answer(r.Context(), a); err != nil {
		d.file(w, r, "Not done: "+err.Error(), true)
		return
	}
	http.Redirect(w, r, "/leads/"+url.PathEscape(a.Lead), http.StatusSeeOther)
}

func (d *Desk) file(w http.ResponseWriter, r *http.Request, notice string, failed bool) {
	lead := r.PathValue("id")
	if _, ok := d.store.get(lead); !ok {
		http.Error(w, "This lead is not on the desk: no handoff of it has arrived here.", http.StatusNotFound)
		return
	}
	v := view{Head: page.Head{Title: "CRM desk"}, Notice: notice, Failed: failed, RequestID: uuid.NewString()}
	if err := d.look(r.Context(), []string{lead}); err != nil {
		v.Notice, v.Failed = strings.TrimSpace(notice+" The state below may be old: "+err.Error()), true
	}
	c, _ := d.store.get(lead)
	v.Lead, v.Reasons = newFile(c), rejectReasons()
	d.write(w, v)
}

func (d *Desk) write(w http.ResponseWriter, v view) {
	v.Now, v.Counts = d.opts.Now(), d.Counts()
	if err := page.Write(w, d.pages, v); err != nil {
		d.opts.Log.Warn("show CRM page", "error", err)
	}
}

func rejectReasons() []leadv1.RejectReason {
	list := make([]leadv1.RejectReason, 0, len(leadv1.RejectReason_name))
	for n := int32(1); n < int32(len(leadv1.RejectReason_name)); n++ {
		list = append(list, leadv1.RejectReason(n))
	}
	return list
}
