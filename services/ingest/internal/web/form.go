package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/form"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Limits of a form.
const (
	maxFields = 200
	// sameForm is how long the same words sent again are the same submission: a
	// second click, a reload of the answer.
	sameForm = 10 * time.Minute
)

// captured is the answer to a program.
type captured struct {
	LeadID    string `json:"lead_id"`
	Created   bool   `json:"created"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

// form takes POST /v1/forms/{source}.
func (r *routes) form(w http.ResponseWriter, req *http.Request) {
	share(w.Header(), req)
	src, err := r.formSource(req)
	if err != nil {
		r.fail(w, req, err)
		return
	}
	body, err := readAll(req.Body, maxForm, req.ContentLength)
	if errors.Is(err, errTooLarge) {
		tooLarge(w, maxForm)
		return
	}
	values, err := parseForm(mediaType(req), req.Header.Get("Content-Type"), body, err)
	if err != nil {
		r.fail(w, req, asInvalid(err))
		return
	}
	said := form.Read(src, values, form.Visitor{
		IP: visitorIP(req), UserAgent: req.UserAgent(), Referer: req.Referer(),
	})
	out, err := r.submit(req, src, said)
	if err != nil {
		r.fail(w, req, err)
		return
	}
	r.thank(w, req, src, said.Redirect, out)
}

// asInvalid makes an error the sender's fault, unless it says so already and
// names the fields.
func asInvalid(err error) error {
	if rpc.Status(err).Code() == codes.InvalidArgument {
		return err
	}
	return rpc.Mark(err, codes.InvalidArgument)
}

func (r *routes) formSource(req *http.Request) (*source.Source, error) {
	name := req.PathValue("source")
	src, ok := r.Sources.Current().Named(name)
	if !ok || src.Form == nil {
		return nil, rpc.Mark(fmt.Errorf("there is no form %.64q; forms are the sources with a form: section in sources.yaml", name), codes.NotFound)
	}
	if origin := req.Header.Get("Origin"); !src.Admits(origin) {
		return nil, rpc.Mark(fmt.Errorf("pages of %.100q may not send to %s; add it to the source's origins in sources.yaml", origin, name), codes.PermissionDenied)
	}
	return src, nil
}

// submit hands a form over. A machine gets the answer a person would get, and
// its form is kept aside.
func (r *routes) submit(req *http.Request, src *source.Source, said form.Reading) (captured, error) {
	if said.Machine {
		if err := r.Quarantine(req.Context(), said.Capture); err != nil {
			return captured{}, err
		}
		return captured{LeadID: fingerprint(said.Capture)[:32], Created: true}, nil
	}
	if len(said.Faults) > 0 {
		return captured{}, invalid(said.Faults)
	}
	sub, faults := person.FromCapture(said.Capture, src.Country)
	if len(faults) > 0 {
		return captured{}, invalid(faults)
	}
	if sub.ID == "" {
		bucket := strconv.FormatInt(r.Now().UnixNano()/int64(sameForm), 36)
		sub.ID = person.Scoped(src.Name, "form-"+bucket+"-"+fingerprint(said.Capture))
	}
	out := r.Accept(req.Context(), []person.Submission{*sub})[0]
	return captured{LeadID: out.Lead, Created: out.Created, Duplicate: out.Duplicate}, out.Err
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
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, thanks)
		return
	}
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
}

// thanks is the page of a form that names no page of its own.
const thanks = "<!doctype html><html lang=en><meta charset=utf-8><title>Thank you</title><p>Thank you. We have received your message.</p></html>\n"

// parseForm reads the fields of a body in any of the three encodings.
func parseForm(media, contentType string, body []byte, readErr error) (form.Values, error) {
	if readErr != nil {
		return nil, readErr
	}
	var values form.Values
	var err error
	switch {
	case media == "multipart/form-data":
		values, err = parseMultipart(contentType, body)
	case media == "application/json" || bytes.HasPrefix(bytes.TrimLeft(body, " \r\n\t"), []byte("{")):
		values, err = parseJSON(body)
	default:
		var parsed url.Values
		parsed, err = url.ParseQuery(string(body))
		values = form.Values(parsed)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("the form cannot be read: %w", err)
	case len(values) == 0:
		return nil, errors.New("the form is empty; expected fields like email=jo@example.com")
	case len(values) > maxFields:
		return nil, fmt.Errorf("the form has more than %d fields", maxFields)
	}
	return values, nil
}

// parseMultipart reads the fields of a multipart form; files are left out.
func parseMultipart(contentType string, body []byte) (form.Values, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, fmt.Errorf("content type: %w", err)
	}
	values := form.Values{}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, err
		}
		if part.FileName() != "" || part.FormName() == "" {
			continue
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		values[part.FormName()] = append(values[part.FormName()], string(value))
	}
}

// parseJSON reads an object of plain values and lists of them.
func parseJSON(body []byte) (form.Values, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil, fmt.Errorf("expected a JSON object: %w", err)
	}
	values := form.Values{}
	var faults []normal.Fault
	for name, v := range object {
		texts, ok := texts(v)
		if !ok {
			faults = append(faults, normal.Fault{Field: name, Message: "is an object; expected a plain value or a list of them"})
		}
		values[name] = texts
	}
	return values, invalid(faults)
}

func texts(v any) ([]string, bool) {
	switch x := v.(type) {
	case nil:
		return nil, true
	case string:
		return []string{x}, true
	case json.Number:
		return []string{x.String()}, true
	case bool:
		return []string{strconv.FormatBool(x)}, true
	case []any:
		var list []string
		for _, item := range x {
			t, ok := texts(item)
			if !ok {
				return nil, false
			}
			list = append(list, t...)
		}
		return list, true
	}
	return nil, false
}
