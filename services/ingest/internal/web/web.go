// Package web takes events over HTTP: forms, and the calls of tracking
// libraries. Each adapter verifies, reads, hands over, and answers.
package web

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/form"
	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/reject"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// maxForm bounds the body of a form, in bytes.
const maxForm = 256 << 10

// Deps are what the routes work with.
type Deps struct {
	// Accept takes submissions, all of one source, within its limits.
	Accept func(ctx context.Context, subs []person.Submission) []person.Outcome
	// Visit asks for one form of a visitor with this address of the internet, sent
	// by a program or by a person's browser. aside: there were too many, keep it for
	// a person to decide. An error says when to come again.
	Visit func(ctx context.Context, src *source.Source, ip string, program bool) (aside bool, err error)
	// Received counts the body of an authenticated request, in bytes.
	Received func(ctx context.Context, source string, bytes int)
	// Quarantine keeps a form that no person seems to have sent, and why.
	Quarantine func(ctx context.Context, req *ingestv1.CaptureLeadRequest, why string) error
	// Reject keeps what an authenticated source sent and we do not take, where a
	// person sees it and can have it read again. An error means that it is not
	// kept: answer 503, so that it is sent again.
	Reject  func(ctx context.Context, what reject.Rejected) error
	Hooks   Hooks
	Sources *source.Live
	// PublicURL is the address that senders reach us at, without a slash at its
	// end, like https://in.example.com: part of what some of them sign. Empty:
	// what the request says.
	PublicURL string
	// FormSecret signs the time when a form was shown.
	FormSecret []byte
	// Proxies are the networks of our own proxies: what they say about where a
	// request comes from is believed.
	Proxies []netip.Prefix
	Log     *slog.Logger
	Now     func() time.Time
}

// Hooks are what the webhooks work with.
type Hooks struct {
	// Dialects by the kind of the source.
	Dialects map[string]hook.Dialect
	// Take makes durable what a verified call told. An error means that it is
	// not, or not all of it: answer so that it is sent again.
	Take func(ctx context.Context, told hook.Told) error
	// Count counts what became of a call.
	Count func(ctx context.Context, src *source.Source, result string)
}

// routes are the handlers.
type routes struct {
	Deps
	unzip sync.Pool // of *gzip.Reader
	mint  form.Mint
	pages pages
}

// New gives the routes of ingest's own.
func New(d Deps) *Front {
	r := &routes{Deps: d, mint: form.NewMint(d.FormSecret), pages: newPages()}
	mux := http.NewServeMux()
	r.formRoutes(mux)
	mux.HandleFunc("GET /v1/hooks/{source}", r.hook)
	mux.HandleFunc("POST /v1/hooks/{source}", r.hook)
	r.trackingRoutes(mux)
	return &Front{ServeMux: mux, routes: r, memory: semaphore.NewWeighted(maxMemory)}
}

// preflight lets pages of other sites send; whether a source takes it is
// decided when the event comes. Any header may be sent: libraries add new ones,
// and none means anything here by itself.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	share(h, r)
	h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", cmp.Or(r.Header.Get("Access-Control-Request-Headers"), "Authorization, Content-Type, Content-Encoding"))
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// share lets the page that sent the request read the answer.
func share(h http.Header, r *http.Request) {
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "Retry-After")
	}
}

// invalid is the error that names each bad field.
func invalid(faults []normal.Fault) error {
	fields := make([]rpc.Field, len(faults))
	for i, f := range faults {
		fields[i] = rpc.Field(f)
	}
	return rpc.Invalid(fields...)
}

// fail answers with the problem document of an error.
func (r *routes) fail(w http.ResponseWriter, req *http.Request, err error) {
	if rpc.Status(err).Code() == codes.Internal {
		r.Log.ErrorContext(req.Context(), "take event", "path", req.Pattern, "error", err)
	}
	rpc.WriteError(w, req, err)
}

// wantsJSON reports whether the sender is a program, not a browser's form.
func wantsJSON(req *http.Request) bool {
	return strings.Contains(req.Header.Get("Accept"), "json") || strings.Contains(req.Header.Get("Content-Type"), "json")
}

func mediaType(req *http.Request) string {
	return mediaTypeOf(req.Header.Get("Content-Type"))
}

// mediaTypeOf gives a content type without its parameters; none is a form's.
func mediaTypeOf(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(cmp.Or(kind, "application/x-www-form-urlencoded")))
}
