package web

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/segment"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// maxRatio is how much larger than itself a compressed body may become: JSON
// events stay below 30.
const maxRatio = 200

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
	// Rejected events are lost unless they are mended and sent again.
	Rejected []rejected `json:"rejected,omitempty"`
	// Incomplete events were taken without the values named.
	Incomplete []rejected `json:"incomplete,omitempty"`
}

// tracking takes POST /v1/{kind} in the Segment dialect. The content type is
// not looked at: libraries send JSON under any.
func (r *routes) tracking(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		share(w.Header(), req)
		env, err := r.open(req, kind)
		if errors.Is(err, errTooLarge) {
			tooLarge(w, segment.MaxBatch)
			return
		}
		if err != nil {
			r.fail(w, req, err)
			return
		}
		src, err := r.keyed(req, env.WriteKey)
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Basic realm="write key"`)
			r.fail(w, req, err)
			return
		}
		items := env.Read(segment.From{Source: src.Name, Country: src.Country, Received: r.Now()})
		r.take(w, req, env.Batch, items)
	}
}

// keyed finds the source of the request's write key.
func (r *routes) keyed(req *http.Request, inBody string) (*source.Source, error) {
	key := inBody
	for _, k := range headerKeys(req) {
		if src, ok := r.Sources.Current().Keyed(k); ok {
			return r.admitted(req, src)
		}
		key = k
	}
	if inBody != "" {
		if src, ok := r.Sources.Current().Keyed(inBody); ok {
			return r.admitted(req, src)
		}
	}
	if key == "" {
		return nil, rpc.Mark(errors.New("a write key is missing: send it as the user name of Basic authorization or as writeKey in the body"), codes.Unauthenticated)
	}
	return nil, rpc.Mark(errors.New("the write key is not known: compare its SHA-256 with the keys: of your source in sources.yaml"), codes.Unauthenticated)
}

func (r *routes) admitted(req *http.Request, src *source.Source) (*source.Source, error) {
	if origin := req.Header.Get("Origin"); !src.Admits(origin) {
		return nil, rpc.Mark(fmt.Errorf("pages of %.100q may not send to %s; add it to the source's origins in sources.yaml", origin, src.Name), codes.PermissionDenied)
	}
	return src, nil
}

// headerKeys lists the keys that the Authorization header may mean: some
// libraries send base64(key:), some base64(key), some Bearer.
func headerKeys(req *http.Request) []string {
	scheme, value, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	value = strings.TrimSpace(value)
	switch {
	case value == "":
		return nil
	case strings.EqualFold(scheme, "Bearer"):
		return []string{value}
	case !strings.EqualFold(scheme, "Basic"):
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		if raw, err = base64.RawStdEncoding.DecodeString(value); err != nil {
			return []string{value}
		}
	}
	user, _, _ := strings.Cut(string(raw), ":")
	return []string{user}
}

// open reads a body and takes it apart.
func (r *routes) open(req *http.Request, kind string) (*segment.Envelope, error) {
	body, err := r.readBody(req)
	if errors.Is(err, errTooLarge) {
		return nil, err
	}
	if err == nil {
		var env *segment.Envelope
		if env, err = segment.Open(body, kind); err == nil {
			return env, nil
		}
	}
	return nil, rpc.Mark(err, codes.InvalidArgument)
}

// readBody reads a body, compressed or not, within the limits.
func (r *routes) readBody(req *http.Request) ([]byte, error) {
	raw, err := readAll(req.Body, segment.MaxBatch, req.ContentLength)
	if err != nil {
		return nil, err
	}
	if len(raw) < 2 || raw[0] != 0x1f || raw[1] != 0x8b {
		return raw, nil
	}
	z, ok := r.unzip.Get().(*gzip.Reader)
	if !ok {
		z = new(gzip.Reader)
	}
	defer r.unzip.Put(z)
	if err := z.Reset(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("unzip body: %w", err)
	}
	body, err := readAll(io.Reader(z), min(segment.MaxBatch, maxRatio*len(raw)), int64(4*len(raw)))
	if err != nil && !errors.Is(err, errTooLarge) {
		return nil, fmt.Errorf("unzip body: %w", err)
	}
	return body, err
}

// take hands the readable events over and reports the others.
func (r *routes) take(w http.ResponseWriter, req *http.Request, batch bool, items []segment.Item) {
	subs := make([]person.Submission, 0, len(items))
	index := make([]int, 0, len(items))
	said := taken{Success: true}
	for i, item := range items {
		bad := rejected{Index: i, MessageID: item.MessageID, Errors: item.Faults}
		switch {
		case item.Submission == nil:
			said.Rejected = append(said.Rejected, bad)
			continue
		case len(item.Faults) > 0:
			said.Incomplete = append(said.Incomplete, bad)
		}
		subs = append(subs, *item.Submission)
		index = append(index, i)
	}
	if !batch && len(said.Rejected) > 0 {
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

func (r *routes) acceptAll(req *http.Request, subs []person.Submission) []person.Outcome {
	if len(subs) == 0 {
		return nil
	}
	return r.Accept(req.Context(), subs)
}
