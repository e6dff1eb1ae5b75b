package web

import (
	"context"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/posthog"
	"github.com/nurturehq/nurture/services/ingest/internal/reject"
	"github.com/nurturehq/nurture/services/ingest/internal/segment"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// rejected is one event of a body that was not taken, or not wholly.
type rejected struct {
	Index     int            `json:"index"`
	MessageID string         `json:"messageId,omitempty"`
	Errors    []normal.Fault `json:"errors"`
}

// taken is the answer to a tracking library.
type taken struct {
	Success  bool `json:"success"`
	Accepted int  `json:"accepted"`
	// LeftOut are events that are right and not kept: their sender does not want
	// them here, or they are about the library and not the person.
	LeftOut int `json:"left_out,omitempty"`
	// Rejected events are kept aside; they can be mended and sent again.
	Rejected []rejected `json:"rejected,omitempty"`
	// Incomplete events were taken without the values named.
	Incomplete []rejected `json:"incomplete,omitempty"`
	// Status is what PostHog's libraries look for.
	Status string `json:"status,omitempty"`
}

// envelope is a body of any dialect, taken apart.
type envelope struct {
	key   string
	bytes int // of the body, decompressed
	batch bool
	read  func(segment.From) []segment.Item
	// status is what the dialect's answer says.
	status string
	// dialect is the reader of what is rejected, and kind the type of event that
	// the address named and the event perhaps not.
	dialect, kind string
}

// opener takes a body apart.
type opener func(body []byte) (envelope, error)

// segmentDialect opens bodies of the Segment dialect; kind is the type of event
// that the address names.
func segmentDialect(kind string) opener {
	return func(body []byte) (envelope, error) {
		env, err := segment.Open(body, kind)
		if err != nil {
			return envelope{}, err
		}
		return envelope{key: env.WriteKey, batch: env.Batch, read: env.Read, dialect: reject.Segment, kind: kind}, nil
	}
}

// posthogDialect opens bodies of PostHog's libraries.
func posthogDialect(body []byte) (envelope, error) {
	env, err := posthog.Open(body)
	if err != nil {
		return envelope{}, err
	}
	return envelope{key: env.APIKey, batch: env.Batch, read: env.Read, status: "Ok", dialect: reject.PostHog}, nil
}

// trackingRoutes are the addresses of both dialects. The short ones are those
// of the browser libraries.
func (r *routes) trackingRoutes(mux *http.ServeMux) {
	take := func(path string, open opener) {
		for _, p := range [...]string{path, path + "/{$}"} {
			mux.HandleFunc("POST "+p, r.tracking(open))
			mux.HandleFunc("OPTIONS "+p, preflight)
		}
	}
	for _, kind := range [...]string{"identify", "track", "page", "screen", "group", "alias", "batch"} {
		take("/v1/"+kind, segmentDialect(kind))
		take("/v1/"+kind[:1], segmentDialect(kind))
	}
	take("/v1/import", segmentDialect("batch"))
	take("/beacon/v1/batch", segmentDialect("batch"))
	for _, path := range [...]string{"/batch", "/capture", "/e", "/i/v0/e"} {
		take(path, posthogDialect)
	}
	r.configRoutes(mux)
}

// tracking takes events. The content type is not looked at: libraries send JSON
// under any.
func (r *routes) tracking(open opener) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		share(w.Header(), req)
		env, err := r.open(req, open)
		if err != nil {
			r.unread(w, req, segment.MaxBatch, err)
			return
		}
		src, err := r.keyed(req, env.key)
		if err != nil {
			if rpc.Status(err).Code() == codes.Unauthenticated {
				w.Header().Set("WWW-Authenticate", `Basic realm="write key"`)
			}
			r.fail(w, req, err)
			return
		}
		r.Received(req.Context(), src.Name, env.bytes)
		now := r.Now()
		from := segment.From{Source: src.Name, Country: src.Country, Received: now}
		if req.Header.Get("Origin") != "" {
			from.UserAgent = req.UserAgent()
		}
		items := env.read(from)
		if err := r.rejectEvents(req.Context(), src, env, items, now); err != nil {
			r.fail(w, req, err)
			return
		}
		r.take(w, req, env, items)
	}
}

// open reads a body and takes it apart.
func (r *routes) open(req *http.Request, open opener) (envelope, error) {
	body, err := r.readBody(req)
	if err != nil {
		return envelope{}, err
	}
	env, err := open(body)
	env.bytes = len(body)
	return env, err
}

// take hands the readable events over and reports the others.
func (r *routes) take(w http.ResponseWriter, req *http.Request, env envelope, items []segment.Item) {
	subs := make([]person.Submission, 0, len(items))
	index := make([]int, 0, len(items))
	said := taken{Status: env.status}
	for i, item := range items {
		bad := rejected{Index: i, MessageID: item.MessageID, Errors: item.Faults}
		switch {
		case item.LeftOut != "":
			said.LeftOut++
			continue
		case item.Submission == nil:
			said.Rejected = append(said.Rejected, bad)
			continue
		case len(item.Faults) > 0:
			said.Incomplete = append(said.Incomplete, bad)
		}
		subs = append(subs, *item.Submission)
		index = append(index, i)
	}
	if !env.batch && len(said.Rejected) > 0 {
		r.fail(w, req, invalid(said.Rejected[0].Errors))
		return
	}
	for i, out := range r.acceptAll(req, subs) {
		if out.Err == nil {
			said.Accepted++
			continue
		}
		if rpc.Status(out.Err).Code() != codes.NotFound {
			// Sending everything again is right: what was taken is known by its id.
			r.fail(w, req, out.Err)
			return
		}
		said.Rejected = append(said.Rejected, rejected{
			Index: index[i], MessageID: items[index[i]].MessageID,
			Errors: []normal.Fault{{Message: rpc.Status(out.Err).Message()}},
		})
	}
	said.Success = len(said.Rejected) == 0
	answer(w, http.StatusOK, said)
}

// rejectEvents keeps the events that cannot be used where a person sees them,
// before the others are taken: when that fails all come again.
func (r *routes) rejectEvents(ctx context.Context, src *source.Source, env envelope, items []segment.Item, now time.Time) error {
	for _, item := range items {
		if item.Submission != nil || item.LeftOut != "" {
			continue
		}
		what := reject.Rejected{
			Source: src.Name, Kind: env.dialect, Reason: reject.Invalid, Faults: item.Faults,
			Raw: item.Raw, ContentType: "application/json", At: now,
		}
		if env.kind != "" && env.kind != "batch" {
			what.About = map[string]string{"type": env.kind}
		}
		if err := r.Reject(ctx, what); err != nil {
			return err
		}
	}
	return nil
}

func (r *routes) acceptAll(req *http.Request, subs []person.Submission) []person.Outcome {
	if len(subs) == 0 {
		return nil
	}
	return r.Accept(req.Context(), subs)
}
