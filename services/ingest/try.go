package ingest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/form"
	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/sample"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/reject"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
	"github.com/nurturehq/nurture/services/ingest/internal/web"
)

// try sends a signed sample through the routes that the source's sender uses,
// and says what became of it.
func (s *Service) try(ctx context.Context, req *ingestv1.TestSourceRequest) (*ingestv1.TestSourceResponse, error) {
	src, ok := s.sources.Current().Named(req.GetSource())
	if !ok {
		return nil, rpc.Mark(fmt.Errorf("there is no source %q: see `nurture source list`", req.GetSource()), codes.NotFound)
	}
	call, held, err := s.sample(src, req)
	if err != nil {
		return nil, rpc.Mark(err, codes.FailedPrecondition)
	}
	if req.GetDryRun() {
		held = "only a look was asked for"
	}
	t := &trial{service: s, held: held != ""}
	answer := &answered{header: http.Header{}, code: http.StatusOK}
	r, err := http.NewRequestWithContext(ctx, call.Method, call.URL, bytes.NewReader(call.Body))
	if err != nil {
		return nil, fmt.Errorf("make the sample's request: %w", err)
	}
	r.Header, r.RemoteAddr = call.Header, "127.0.0.1:0"
	web.New(t.doors(s.doors())).ServeHTTP(answer, r)
	resp := &ingestv1.TestSourceResponse{Path: r.URL.Path, Sent: unkeyed(call.Body, src), Held: held, Items: t.items}
	if held == "" || answer.code >= http.StatusBadRequest {
		resp.Status, resp.Answer = uint32(answer.code), answer.body.String() //nolint:gosec // an HTTP status
	}
	return resp, nil
}

// answered is what the sender would have been answered.
type answered struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (a *answered) Header() http.Header { return a.header }

func (a *answered) WriteHeader(code int) { a.code = code }

func (a *answered) Write(b []byte) (int, error) { return a.body.Write(b) }

// unkeyed blots secrets out of what is shown: some senders write them into their
// messages.
func unkeyed(body []byte, src *source.Source) []byte {
	for _, secret := range src.Secrets {
		body = bytes.ReplaceAll(body, []byte(secret), []byte("***"))
	}
	return body
}

// sample writes the call: of a webhook, else of a form, else of a library.
func (s *Service) sample(src *source.Source, req *ingestv1.TestSourceRequest) (hook.Request, string, error) {
	base, id := cmp.Or(strings.TrimSuffix(s.cfg.PublicURL, "/"), "http://localhost"), "source-test-"+rand.Text()
	call := hook.Request{Method: http.MethodPost, Header: http.Header{}, Body: req.GetBody()}
	switch {
	case src.Kind != "":
		return sample.Call(src, sample.What{Base: base, ID: id, Body: req.GetBody(), ContentType: req.GetContentType(), Now: s.deps.Now()})
	case src.Form != nil && req.GetWriteKey() == "":
		call.URL = base + "/v1/forms/" + src.Name
		call.Header.Set("Accept", "application/json")
		call.Header.Set("Content-Type", cmp.Or(req.GetContentType(), "application/x-www-form-urlencoded"))
		if call.Body == nil {
			call.Body = []byte(form.Sample(src, sample.Address, form.NewMint(s.hasher.Derive("form")), s.deps.Now()).Encode())
		}
		return call, "", nil
	case req.GetWriteKey() == "":
		return call, "", errKeyless
	}
	if owner, ok := s.sources.Current().Keyed(req.GetWriteKey()); !ok || owner.Name != src.Name {
		return call, "", fmt.Errorf("the write key is not one of source %s: `nurture source list` shows how its keys begin", src.Name)
	}
	call.URL = base + "/v1/batch"
	call.Header.Set("Authorization", "Bearer "+req.GetWriteKey())
	call.Header.Set("Content-Type", cmp.Or(req.GetContentType(), "application/json"))
	if call.Body == nil {
		call.Body = fmt.Appendf(nil, `{"batch":[{"type":"identify","messageId":"%[1]s-i","userId":"source-test","traits":{"email":%[2]q,"company":"Example"}},{"type":"track","messageId":"%[1]s-t","userId":"source-test","event":"Source Tested"}]}`, id, sample.Address)
	}
	return call, "", nil
}

// errKeyless: the source has only write keys, and of these only hashes are here.
var errKeyless = errors.New("this source takes events under a write key, and only its hash is kept: give the key with --key")

// trial listens at the doors while a sample goes through them.
type trial struct {
	service *Service
	held    bool
	items   []*ingestv1.TestedItem
}

// doors are the service's, with an ear at each; when the sample is held nothing
// behind them hears of it.
func (t *trial) doors(d web.Deps) web.Deps {
	d.Visit = func(context.Context, *source.Source, string, bool) (bool, error) { return false, nil }
	d.Accept = t.accept
	d.Quarantine = func(ctx context.Context, req *ingestv1.CaptureLeadRequest, why string) error {
		t.fault("quarantine", normal.Fault{Message: why})
		if t.held {
			return nil
		}
		return t.service.quarantine(ctx, req, why)
	}
	d.Reject = func(ctx context.Context, what reject.Rejected) error {
		t.fault("reject", what.Faults...)
		if t.held {
			return nil
		}
		return t.service.reject(ctx, what)
	}
	d.Hooks.Take = t.hear
	if t.held {
		d.Received = func(context.Context, string, int) {}
		d.Hooks.Count = func(context.Context, *source.Source, string) {}
	}
	return d
}

func (t *trial) accept(ctx context.Context, subs []person.Submission) []person.Outcome {
	outcomes := make([]person.Outcome, len(subs))
	if !t.held {
		outcomes = t.service.admit(ctx, subs)
	}
	for i := range subs {
		t.items = append(t.items, submitted(&subs[i], outcomes[i]))
	}
	return outcomes
}

func (t *trial) hear(ctx context.Context, told hook.Told) error {
	var outcomes []person.Outcome
	if !t.held {
		var err error
		if outcomes, err = t.service.hearHook(ctx, told); err != nil {
			return err
		}
	}
	if told.Unreadable != nil {
		t.fault("reject", normal.Fault{Message: told.Unreadable.Error()})
	}
	for _, it := range told.Items {
		var out person.Outcome
		if it.Submission != nil && len(outcomes) > 0 {
			out, outcomes = outcomes[0], outcomes[1:]
		}
		t.items = append(t.items, item(it, out))
	}
	return nil
}

func (t *trial) fault(became string, faults ...normal.Fault) {
	t.items = append(t.items, &ingestv1.TestedItem{Became: became, Faults: written(faults)})
}

// item says what one thing that a webhook told is.
func item(it hook.Item, out person.Outcome) *ingestv1.TestedItem {
	switch {
	case it.Ignored != "":
		return &ingestv1.TestedItem{Became: "ignored", Note: it.Ignored}
	case it.Fetch != nil:
		return &ingestv1.TestedItem{Became: "fetch", Note: it.Fetch.GetKind() + " " + it.Fetch.GetRef()}
	case it.Sales != nil:
		return &ingestv1.TestedItem{Became: "sales", Note: sold(it.Sales)}
	case it.Submission == nil:
		return &ingestv1.TestedItem{Became: "reject", Faults: written(it.Faults)}
	}
	got := submitted(it.Submission, out)
	got.Faults = append(written(it.Faults), got.GetFaults()...)
	return got
}

// sold says what a CRM's word means.
func sold(said *hook.Sales) string {
	status := strings.ToLower(strings.TrimPrefix(said.GetStatus().String(), "SALES_STATUS_"))
	return strings.TrimSpace(status + ", lead " + cmp.Or(said.GetLeadId(), said.GetExternalId()))
}

// submitted says how a submission was read, and what became of it.
func submitted(sub *person.Submission, out person.Outcome) *ingestv1.TestedItem {
	c := sub.Apply.GetCapture()
	got := &ingestv1.TestedItem{
		Became: "lead", LeadId: out.Lead, Created: out.Created, Duplicate: out.Duplicate,
		Profile: c.GetProfile(), Activity: c.GetActivity(), Consents: c.GetConsents(),
	}
	if out.Err != nil {
		got.Became, got.Faults = "reject", written([]normal.Fault{{Message: rpc.Status(out.Err).Message()}})
	}
	return got
}

func written(faults []normal.Fault) []*ledgerv1.Fault {
	list := make([]*ledgerv1.Fault, len(faults))
	for i, f := range faults {
		list[i] = &ledgerv1.Fault{Field: f.Field, Message: f.Message}
	}
	return list
}
