package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/services/ingest/internal/form"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// pages are the hosted pages and the policy that they are sent with.
type pages struct {
	template *template.Template
	style    string // its hash, as a policy names it
}

func newPages() pages {
	sum := sha256.Sum256([]byte(pageCSS))
	return pages{
		template: template.Must(template.New("pages").Parse(pageHTML)),
		style:    "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
	}
}

// page is what a hosted page shows.
type page struct {
	Title, Action, Honeypot string
	Style                   template.CSS
	Errors                  []string
	Fields                  []field
	Boxes                   []box
	Hidden                  []hidden
}

type field struct {
	Name, Label, Type, Complete, Value, Error string
	Required                                  bool
}

type box struct {
	Field, Text, Version string
	Ticked               bool
}

type hidden struct{ Name, Value string }

// formPage answers GET /v1/forms/{source}: the form as a page.
func (r *routes) formPage(w http.ResponseWriter, req *http.Request) {
	src, err := r.formSource(req.PathValue("source"))
	if err != nil {
		r.fail(w, req, err)
		return
	}
	r.showForm(w, http.StatusOK, src, form.Values{
		"page_url": {publicURL(req)}, "referrer": {req.Referer()},
	}, nil)
}

// thanksPage is where a browser goes after a form that names no page of its own.
func (r *routes) thanksPage(w http.ResponseWriter, req *http.Request) {
	src, err := r.formSource(req.PathValue("source"))
	if err != nil {
		r.fail(w, req, err)
		return
	}
	r.show(w, http.StatusOK, "thanks", src, page{Title: "Thank you"})
}

// showForm shows the form with what was entered and what is wrong with it. The
// token is a new one each time: the second try has its own time.
func (r *routes) showForm(w http.ResponseWriter, status int, src *source.Source, values form.Values, faults []normal.Fault) {
	p := page{Title: src.Title, Action: "/v1/forms/" + src.Name, Honeypot: src.Form.Honeypot}
	known := map[string]bool{
		src.Form.Honeypot: true, form.TokenField: true, form.HostedField: true,
		// The name of our own page is no place to send a browser to.
		"oid": true,
	}
	for _, name := range src.Form.Show {
		f := shown(name)
		f.Value = strings.Join(values[name], ", ")
		f.Required = slices.Contains(src.Form.Required, name)
		f.Error = faultOf(faults, name)
		p.Fields, known[name] = append(p.Fields, f), true
	}
	for _, c := range src.Form.Consents {
		name := c.Field.Value
		p.Boxes = append(p.Boxes, box{Field: name, Text: c.Text.Value, Version: c.Version, Ticked: len(values[name]) > 0})
		known[name], known[name+"_text"], known[name+"_version"] = true, true, true
	}
	for _, f := range faults {
		p.Errors = append(p.Errors, label(f.Field)+" "+f.Message)
	}
	p.Hidden = append(p.Hidden, hidden{form.TokenField, r.mint.Token(src.Name, r.Now())}, hidden{form.HostedField, "1"})
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if v := strings.Join(values[name], ", "); !known[name] && v != "" {
			p.Hidden = append(p.Hidden, hidden{name, v})
		}
	}
	r.show(w, status, "form", src, p)
}

// show sends a page that may do nothing but show itself and send its form.
func (r *routes) show(w http.ResponseWriter, status int, name string, src *source.Source, p page) {
	p.Style = template.CSS(pageCSS) //nolint:gosec // our own file
	var body bytes.Buffer
	if err := r.pages.template.ExecuteTemplate(&body, name, p); err != nil {
		r.Log.Error("show page", "page", name, "error", err)
		problem(w, http.StatusInternalServerError, "the page cannot be shown")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	// A browser that is sent on after the form asks this policy too.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+r.pages.style+"; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "+
		strings.Join(src.Form.Origins(), " "))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the visitor may be gone
}

// shown says how a field is asked for.
func shown(name string) field {
	f := field{Name: name, Label: label(name), Type: "text"}
	switch name {
	case "email", "mail", "e_mail":
		f.Type, f.Complete = "email", "email"
	case "phone", "tel", "mobile":
		f.Type, f.Complete = "tel", "tel"
	case "website", "url":
		f.Type, f.Complete = "url", "url"
	case "message", "comments", "question":
		f.Type = "textarea"
	case "first_name":
		f.Complete = "given-name"
	case "last_name":
		f.Complete = "family-name"
	case "name", "full_name":
		f.Complete = "name"
	case "company", "firma":
		f.Complete = "organization"
	case "job_title":
		f.Complete = "organization-title"
	case "country":
		f.Complete = "country-name"
	}
	return f
}

// label makes words of a field's name.
func label(name string) string {
	if name == "email" {
		return "E-mail"
	}
	words := strings.ReplaceAll(strings.TrimPrefix(name, "profile."), "_", " ")
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

func faultOf(faults []normal.Fault, name string) string {
	for _, f := range faults {
		if f.Field == name {
			return label(f.Field) + " " + f.Message
		}
	}
	return ""
}

// publicURL is the address of the page as its visitor sees it.
func publicURL(req *http.Request) string {
	return protocol(req) + "://" + req.Host + req.URL.RequestURI()
}

// protocol is how the visitor reached us, perhaps through a proxy.
func protocol(req *http.Request) string {
	if req.TLS != nil || req.Header.Get("X-Forwarded-Proto") == "https" {
		return "https"
	}
	return "http"
}

// wantsHTML reports whether a person waits for the answer.
func wantsHTML(req *http.Request) bool {
	return strings.Contains(req.Header.Get("Accept"), "text/html") && !wantsJSON(req)
}
