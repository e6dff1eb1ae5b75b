package web

import (
	_ "embed"
	"net/http"
	"strings"
)

// MaxSnippet is what the snippet may weigh as it is served, in bytes.
const MaxSnippet = 1024

//go:embed snippet.js
var snippetJS string

// snippet answers GET /v1/snippet.js?source=website: the script for the pages of
// others, with a token that says when the page was shown.
func (r *routes) snippet(w http.ResponseWriter, req *http.Request) {
	src, err := r.formSource(req.URL.Query().Get("source"))
	if err != nil {
		r.fail(w, req, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte(strings.Replace(strings.TrimSpace(snippetJS), "TOKEN", r.mint.Token(src.Name, r.Now()), 1)))
}
