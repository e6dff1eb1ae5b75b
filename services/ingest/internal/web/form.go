package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/rpc"
	"github.com/nurturehq/nurture/pkg/visitor"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/form"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/reject"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// sameForm is how long the same words sent again are the same submission: a
// second click, a reload of the answer.
const sameForm = 10 * time.Minute

// formRoutes are the addresses of forms, of their hosted pages, and of the
// snippet for the pages of others.
func (r *routes) formRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/forms/{source}", r.form)
	mux.HandleFunc("OPTIONS /v1/forms/{source}", preflight)
	mux.HandleFunc("GET /v1/forms/{source}", r.formPage)
	mux.HandleFunc("GET /v1/forms/{source}/thanks", r.thanksPage)
	mux.HandleFunc("POST /servlet/servlet.WebToLead", r.webToLead)
	mux.HandleFunc("GET /v1/snippet.js", r.snippet)
}

// sent is a form as it came.
type sent struct {
	src    *source.Source
	values form.Values
	raw    []byte
}

// captured is the answer to a program.
type captured struct {
	LeadID    string `json:"lead_id"`
	Created   bool   `json:"created"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

// form takes POST /v1/forms/{source}.
func (r *routes) form(w http.ResponseWriter, req *http.Request) {
	share(w.Header(), req)
	src, err := r.formSource(req.PathValue("source"))
	if err != nil {
		r.fail(w, req, err)
		return
	}
	if got, ok := r.readForm(w, req); ok {
		got.src = src
		r.takeForm(w, req, got)
	}
}

// webToLead takes what a form made for Salesforce sends: its oid says which
// source it is for.
func (r *routes) webToLead(w http.ResponseWriter, req *http.Request) {
	share(w.Header(), req)
	got, ok := r.readForm(w, req)
	if !ok {
		return
	}
	oid := strings.Join(got.values["oid"], "")
	if got.src, ok = r.Sources.Current().WithOrg(oid); !ok {
		r.fail(w, req, rpc.Mark(fmt.Errorf("no form takes the organisation %.20q; add it to the org_ids of a form in sources.yaml", oid), codes.NotFound))
		return
	}
	if charset := strings.ToLower(req.URL.Query().Get("encoding")); charset == "iso-8859-1" || charset == "windows-1252" {
		got.values = form.Latin(got.values)
	}
	r.takeForm(w, req, got)
}

func (r *routes) formSource(name string) (*source.Source, error) {
	src, ok := r.Sources.Current().Named(name)
	if !ok || src.Form == nil {
		return nil, rpc.Mark(fmt.Errorf("there is no form %.64q; forms are the sources with a form: section in sources.yaml", name), codes.NotFound)
	}
	return src, nil
}

// readForm reads the fields; it answers by itself what cannot be read.
func (r *routes) readForm(w http.ResponseWriter, req *http.Request) (sent, bool) {
	body, err := r.unzipped(req, maxForm)
	var values form.Values
	if err == nil {
		values, err = parseForm(mediaType(req), req.Header.Get("Content-Type"), body)
	}
	if err != nil {
		r.unread(w, req, maxForm, err)
		return sent{}, false
	}
	return sent{values: values, raw: body}, true
}

// takeForm reads what a form says, hands it over and answers. What looks as if
// no person had sent it gets the answer that a person would get.
func (r *routes) takeForm(w http.ResponseWriter, req *http.Request, got sent) {
	r.Received(req.Context(), got.src.Name, len(got.raw))
	flooding, err := r.visit(req, got.src)
	if err != nil {
		r.fail(w, req, err)
		return
	}
	said := form.Read(got.src, got.values, form.Visitor{
		IP: visitor.Peer(req), UserAgent: req.UserAgent(), Referer: req.Referer(),
	})
	why := form.Look(got.src, said, foreignOrigin(req), r.mint, r.Now())
	if why == form.None && flooding {
		why = form.Flooding
	}
	if why != form.None {
		out := captured{LeadID: fingerprint(said.Capture)[:32], Created: true}
		if err := r.Quarantine(req.Context(), said.Capture, string(why)); err != nil {
			r.fail(w, req, err)
			return
		}
		r.thank(w, req, got.src, said.Redirect, out)
		return
	}
	if len(said.Faults) > 0 {
		r.refuse(w, req, got, said)
		return
	}
	out, err := r.submit(req, got.src, said)
	if err != nil {
		r.fail(w, req, err)
		return
	}
	r.thank(w, req, got.src, said.Redirect, out)
}

// foreignOrigin is the page's origin, empty for our own pages and for programs.
func foreignOrigin(req *http.Request) string {
	origin := req.Header.Get("Origin")
	if u, err := url.Parse(origin); err == nil && u.Host != "" && u.Host == req.Host {
		return ""
	}
	return origin
}

// refuse keeps a form that cannot be used where a person sees it, and tells a
// program which fields are wrong, a browser's user where to mend them.
func (r *routes) refuse(w http.ResponseWriter, req *http.Request, got sent, said form.Reading) {
	err := r.Reject(req.Context(), reject.Rejected{
		Source: got.src.Name, Kind: reject.Form, Reason: reject.Invalid, Faults: said.Faults,
		Raw: got.raw, ContentType: req.Header.Get("Content-Type"), At: r.Now(),
		About: map[string]string{"ip": visitor.Peer(req), "header:User-Agent": req.UserAgent(), "header:Referer": req.Referer()},
	})
	switch {
	case err != nil:
		r.fail(w, req, err)
	case wantsHTML(req):
		r.showForm(w, http.StatusBadRequest, got.src, got.values, said.Faults)
	default:
		r.fail(w, req, invalid(said.Faults))
	}
}

// submit hands a form over, and before it, as of its own time, what brought the
// person here first.
func (r *routes) submit(req *http.Request, src *source.Source, said form.Reading) (captured, error) {
	sub, faults := person.FromCapture(said.Capture, src.Country)
	if len(faults) > 0 {
		return captured{}, invalid(faults)
	}
	now := r.Now()
	if sub.ID == "" {
		bucket := strconv.FormatInt(now.UnixNano()/int64(sameForm), 36)
		sub.ID = person.Scoped(src.Name, "form-"+bucket+"-"+fingerprint(said.Capture))
	}
	subs := []person.Submission{*sub}
	if visit := said.FirstVisit(now); visit != nil {
		if first, faults := person.FromCapture(visit, src.Country); len(faults) == 0 {
			first.ID = sub.ID + "-first"
			subs = []person.Submission{*first, *sub}
		}
	}
	outs := r.Accept(req.Context(), subs)
	out := outs[len(outs)-1]
	return captured{LeadID: out.Lead, Created: out.Created || outs[0].Created, Duplicate: out.Duplicate}, out.Err
}

// fingerprint tells two forms with the same words from two with others.
func fingerprint(req *ingestv1.CaptureLeadRequest) string {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil { // only invalid UTF-8 can do that, and normalising removed it
		raw = []byte(req.String())
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// thank answers a program with JSON and sends a browser on.
func (r *routes) thank(w http.ResponseWriter, req *http.Request, src *source.Source, asked string, out captured) {
	if wantsJSON(req) {
		status := http.StatusOK
		if out.Created {
			status = http.StatusCreated
		}
		answer(w, status, out)
		return
	}
	target, refused := src.Form.Target(asked)
	if refused {
		r.Log.WarnContext(req.Context(), "form asked for an address that is not in allow_redirects", "source", src.Name)
	}
	if target == "" {
		target = "/v1/forms/" + src.Name + "/thanks"
	}
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
}
