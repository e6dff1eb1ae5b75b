package web

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// maxHook bounds the body of a webhook, in bytes, also after decompression.
const maxHook = 1 << 20

// What became of a call, for the metric.
const (
	hookTaken      = "taken"
	hookGreeted    = "greeted"
	hookUnsigned   = "unsigned"
	hookForged     = "forged"
	hookStale      = "stale"
	hookUnreadable = "unreadable"
	hookTooLarge   = "too_large"
	hookLater      = "later"
)

// hook takes GET and POST /v1/hooks/{source}. Senders disable a hook that
// answers 404, 410, 406 or 403, so a source that exists never does.
func (r *routes) hook(w http.ResponseWriter, req *http.Request) {
	src, ok := r.Sources.Current().Named(req.PathValue("source"))
	dialect := r.Hooks.Dialects[kindOf(src)]
	if !ok || dialect == nil {
		r.fail(w, req, rpc.Mark(fmt.Errorf("there is no webhook %.64q; webhooks are the sources with a kind: in sources.yaml", req.PathValue("source")), codes.NotFound))
		return
	}
	body, err := r.unzipped(req, maxHook)
	if err != nil {
		r.count(req, src, unreadBecause(err))
		r.unread(w, req, maxHook, err)
		return
	}
	call := hook.Request{
		Method: req.Method, URL: r.address(req), Query: req.URL.Query(), Header: req.Header, Body: body, Received: r.Now(),
	}
	if req.Method != http.MethodPost {
		r.greet(w, req, call, src)
		return
	}
	r.told(w, req, call, src)
}

// unreadBecause is what the metric says of a body that cannot be read.
func unreadBecause(err error) string {
	switch {
	case errors.Is(err, errTooLarge):
		return hookTooLarge
	case errors.Is(err, errFull):
		return hookLater
	}
	return hookUnreadable
}

func kindOf(src *source.Source) string {
	if src == nil {
		return ""
	}
	return src.Kind
}

// address is the call's own as its sender wrote it: some sign it.
func (r *routes) address(req *http.Request) string {
	if r.PublicURL != "" {
		return r.PublicURL + req.URL.RequestURI()
	}
	scheme := "http"
	if req.TLS != nil || req.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + req.Host + req.URL.RequestURI()
}

// greet answers a sender that asks whether this is the right address.
func (r *routes) greet(w http.ResponseWriter, req *http.Request, call hook.Request, src *source.Source) {
	greeter, ok := r.Hooks.Dialects[src.Kind].(hook.Greeter)
	if !ok {
		w.Header().Set("Allow", http.MethodPost)
		problem(w, http.StatusMethodNotAllowed, "this webhook is alive; it takes POST")
		return
	}
	said, err := greeter.Greet(call, src)
	if err != nil {
		r.unproven(w, req, src, err)
		return
	}
	r.count(req, src, hookGreeted)
	write(w, said)
}

// told takes what a sender tells, if it is the sender.
func (r *routes) told(w http.ResponseWriter, req *http.Request, call hook.Request, src *source.Source) {
	dialect := r.Hooks.Dialects[src.Kind]
	if err := dialect.Verify(call, src); err != nil {
		r.unproven(w, req, src, err)
		return
	}
	r.Received(req.Context(), src.Name, len(call.Body))
	read, err := dialect.Read(call, src)
	if errors.Is(err, hook.ErrUnavailable) {
		r.unproven(w, req, src, err)
		return
	}
	if err != nil {
		r.unreadable(w, req, hook.Told{Source: src, Request: call, Unreadable: err})
		return
	}
	if err := r.Hooks.Take(req.Context(), hook.Told{Source: src, Request: call, Items: read.Items}); err != nil {
		r.count(req, src, hookLater)
		r.fail(w, req, err)
		return
	}
	r.count(req, src, hookTaken)
	write(w, read.Answer)
}

// unreadable keeps a verified body that nobody can read, and says so.
func (r *routes) unreadable(w http.ResponseWriter, req *http.Request, told hook.Told) {
	if err := r.Hooks.Take(req.Context(), told); err != nil {
		r.count(req, told.Source, hookLater)
		r.fail(w, req, err)
		return
	}
	r.count(req, told.Source, hookUnreadable)
	r.fail(w, req, rpc.Mark(told.Unreadable, codes.InvalidArgument))
}

// unproven refuses a call whose sender is not proved. Nothing of it is kept:
// anybody could fill the disk with it.
func (r *routes) unproven(w http.ResponseWriter, req *http.Request, src *source.Source, err error) {
	result := hookForged
	switch {
	case errors.Is(err, hook.ErrUnavailable):
		r.count(req, src, hookLater)
		r.fail(w, req, rpc.RetryAfter(err, codes.Unavailable, time.Minute))
		return
	case errors.Is(err, hook.ErrUnsigned):
		result = hookUnsigned
	case errors.Is(err, hook.ErrStale):
		result = hookStale
	}
	r.count(req, src, result)
	r.fail(w, req, rpc.Mark(err, codes.Unauthenticated))
}

func (r *routes) count(req *http.Request, src *source.Source, result string) {
	r.Hooks.Count(req.Context(), src, result)
}

// write sends a body that the sender wants, or the empty 200: some senders take
// nothing else for a yes.
func write(w http.ResponseWriter, a *hook.Answer) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if a == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	w.Header().Set("Content-Type", a.ContentType)
	_, _ = w.Write(a.Body) //nolint:gosec // plain text or JSON of ours, and never sniffed
}
