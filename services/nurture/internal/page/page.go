// Package page gives the development pages of the all-in-one process their
// common look and their security headers.
package page

import (
	_ "embed"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed style.css
var style string

//go:embed layout.html
var layout string

// policy lets a page of ours load nothing but its own style, frame only itself
// and post only to itself.
const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"

// Head is what the layout of every page needs.
type Head struct {
	// Title is the browser tab and the heading of the product's bar.
	Title string
	// Refresh is how often the browser loads the page again, in seconds; 0 for never.
	Refresh int
}

// Parse builds the templates of one application: the common layout and its own
// files, which define "main" for each page they show.
func Parse(sources ...string) (*template.Template, error) {
	t := template.New("layout").Funcs(template.FuncMap{
		"clock": clock, "ago": ago, "words": words,
	})
	for _, src := range append([]string{layout}, sources...) {
		if _, err := t.Parse(src); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Write renders a page. An error after the first byte can only be seen in the page.
func Write(w http.ResponseWriter, t *template.Template, data any) error {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	return t.ExecuteTemplate(w, "layout", data)
}

// Style serves the one style sheet.
func Style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=60")
	_, _ = w.Write([]byte(style))
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("15:04:05")
}

// ago says how long before now t was, in the largest whole unit.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return ""
	case d < time.Second:
		return "just now"
	case d < time.Minute:
		return d.Truncate(time.Second).String() + " ago"
	case d < time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s") + " ago"
	}
	return t.Format("2 Jan 15:04")
}

// words turns a snake_case name or an upper-case enum value into words.
func words(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, "_", " "))
}
