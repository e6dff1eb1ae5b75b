package dialects

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/sample"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

const (
	newSecret = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldw=="
	oldSecret = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZA=="
	base      = "https://in.example.com"
)

var now = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)

// contract is what one dialect must do with one message of its sender. All are
// signed as `nurture source test` signs.
type contract struct {
	kind, name string
	// body is the message; empty: the sample that `nurture source test` sends.
	body    string
	header  []string
	fields  map[string]string
	options map[string]string
	// want are the items, one a line, as told writes them.
	want []string
}

func contracts() []contract {
	return []contract{
		{kind: "google_ads", name: "the sample", want: []string{"lead s/msg_1 form_submitted source-test@nurture.test  Source Test gclid=source-test campaign=1 form=1"}},
		{kind: "meta", name: "the sample", want: []string{"fetch lead msg_1 form=1"}},
		{kind: "linkedin", name: "the sample", want: []string{"fetch lead urn:li:leadGenFormResponse:msg_1 form="}},
		{kind: "typeform", name: "the sample", want: []string{"lead s/msg_1 form_submitted source-test@nurture.test    gclid= campaign= form=source-test"}},
		{kind: "hubspot", name: "the sample", want: []string{"lead s/form-* form_submitted source-test@nurture.test  Source Test gclid= campaign= form="}},
		{kind: "webhook", name: "the sample", want: []string{"lead s/msg_1 form_submitted source-test@nurture.test    gclid= campaign= form="}},
		{kind: "cloudevents", name: "the sample", want: []string{"lead s//source-test|msg_1 form_submitted source-test@nurture.test    gclid= campaign= form="}},
		{kind: "crm", name: "the sample", want: []string{"sales ACCEPTED source-test"}},
		{kind: "postmark", name: "the sample", want: []string{"lead s/Delivery-* email_delivered source-test@nurture.test    gclid= campaign= form="}},
		{kind: "mailgun", name: "the sample", want: []string{"lead s/msg_1 email_delivered source-test@nurture.test    gclid= campaign= form="}},
		{kind: "resend", name: "the sample", want: []string{"lead s/msg_1 email_delivered source-test@nurture.test    gclid= campaign= form="}},
		{kind: "webhook", name: "the sample, in the source's words", fields: map[string]string{"contact.mail": "email", "contact.firm": "company"}, options: map[string]string{"activity.demo.booked": "demo_requested", "items": "leads"}, want: []string{"lead s/msg_1/0 demo_requested source-test@nurture.test    gclid= campaign= form="}},
		{kind: "typeform", name: "the sample, in the source's words", fields: map[string]string{"nachname": "last_name"}, want: []string{"lead s/msg_1 form_submitted source-test@nurture.test   Test gclid= campaign= form=source-test"}},
		{kind: "crm", name: "the sample in Odoo's words", options: map[string]string{"words": "odoo"}, want: []string{"sales ACCEPTED source-test"}},
		{kind: "crm", name: "the sample in Salesforce's words", options: map[string]string{"words": "salesforce"}, want: []string{"sales ACCEPTED source-test"}},
		{kind: "crm", name: "the sample in the source's words", fields: map[string]string{"record.np": "lead_id", "record.stage": "status"}, options: map[string]string{"accepted": "Working, Taken"}, want: []string{"sales ACCEPTED source-test"}},
		{
			kind: "google_ads", name: "a form",
			body: `{"lead_id":"L1","user_column_data":[{"column_name":"Full Name","string_value":"Jo Doe","column_id":"FULL_NAME"},{"string_value":"Jo@acme.example","column_id":"EMAIL"},{"string_value":"+16505550123","column_id":"PHONE_NUMBER"}],"form_id":40000000000,"campaign_id":9223372036854775807,"google_key":"%KEY%","gcl_id":"g1","new_thing":{"x":1}}`,
			want: []string{"lead s/L1 form_submitted jo@acme.example +16505550123 Jo Doe gclid=g1 campaign=9223372036854775807 form=40000000000"},
		},
		{
			kind: "google_ads", name: "a test is never counted",
			body: `{"lead_id":"L2","google_key":"%KEY%","is_test":true,"user_column_data":[{"column_id":"EMAIL","string_value":"test@example.com"}]}`,
			want: []string{"ignored test"},
		},
		{kind: "google_ads", name: "a lead without an address", body: `{"lead_id":"L3","google_key":"%KEY%"}`, want: []string{"fault profile.email"}},
		{
			kind: "meta", name: "a batch with ids as numbers and texts",
			body: `{"object":"page","entry":[{"id":1,"changes":[{"field":"leadgen","value":{"leadgen_id":444444444444444444,"form_id":12,"created_time":1440120384}},{"field":"feed","value":{}}]},{"id":"2","changes":[{"field":"leadgen","value":{"leadgen_id":"123"}},{"field":"leadgen","value":{}}]}]}`,
			want: []string{"fetch lead 444444444444444444 form=12", "ignored not_about_a_lead", "fetch lead 123 form=", "fault leadgen_id"},
		},
		{
			kind: "linkedin", name: "a new lead",
			body: `{"type":"LEAD_ACTION","leadGenFormResponse":"urn:li:leadGenFormResponse:abc","leadGenForm":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:1,1)","leadAction":"CREATED","occurredAt":1761000000000}`,
			want: []string{"fetch lead urn:li:leadGenFormResponse:abc form=urn:li:versionedLeadGenForm:(urn:li:leadGenForm:1,1)"},
		},
		{
			kind: "linkedin", name: "somebody who wants to be forgotten",
			body: `{"type":"LEAD_ACTION","leadGenFormResponse":"urn:li:leadGenFormResponse:abc","leadAction":"DELETED","occurredAt":1761000000000}`,
			want: []string{"erase s/urn:li:leadGenFormResponse:abc/DELETED of urn:li:leadGenFormResponse:abc"},
		},
		{
			kind: "typeform", name: "a form", fields: map[string]string{"firm": "company"},
			body: `{"event_id":"e1","event_type":"form_response","form_response":{"form_id":"f1","token":"t1","submitted_at":"2026-11-25T09:00:00Z","hidden":{"utm_campaign":"spring","gclid":"g2"},"definition":{"fields":[{"id":"1","title":"Your name","ref":"n"}]},"answers":[{"type":"text","text":"Jo Doe","field":{"ref":"n"}},{"type":"email","email":"jo@acme.example","field":{"ref":"m"}},{"type":"choice","choice":{"label":"Acme"},"field":{"ref":"firm"}},{"type":"phone_number","phone_number":"+4930901820","field":{"ref":"p"}}]}}`,
			want: []string{"lead s/t1 form_submitted jo@acme.example +4930901820 Jo Doe gclid=g2 campaign=spring form=f1"},
		},
		{kind: "typeform", name: "a form that was only begun", body: `{"event_id":"e2","event_type":"form_response_partial"}`, want: []string{"ignored not_about_a_lead"}},
		{
			kind: "hubspot", name: "events of the CRM",
			body: `[{"eventId":100,"subscriptionType":"contact.creation","objectId":7},{"eventId":101,"subscriptionType":"contact.propertyChange","objectId":7,"propertyName":"hs_lead_status","propertyValue":"UNQUALIFIED"},{"eventId":102,"subscriptionType":"contact.propertyChange","objectId":7,"propertyName":"lifecyclestage","propertyValue":"subscriber"},{"eventId":103,"subscriptionType":"contact.privacyDeletion","objectId":7},{"eventId":104,"subscriptionType":"contact.deletion","objectId":7},{"eventId":105,"subscriptionType":"company.creation","objectId":8},{"eventId":106,"subscriptionType":"company.propertyChange","objectId":8,"propertyName":"industry","propertyValue":"BANKING"}]`,
			want: []string{"fetch contact 7 form=", "fetch status 7 form=", "ignored not_about_a_lead", "erase s/103 of contact/7", "sales DELETED contact/7", "ignored not_about_a_lead", "company s/106 hubspot:8"},
		},
		{
			kind: "hubspot", name: "a form",
			body: `{"fields":[{"name":"email","value":"jo@acme.example"},{"name":"firstname","value":"Jo"},{"name":"lastname","value":"Doe"}],"context":{"pageUri":"https://www.example.com/?utm_campaign=spring&gclid=g3"}}`,
			want: []string{"lead s/form-* form_submitted jo@acme.example  Jo Doe gclid=g3 campaign=spring form="},
		},
		{
			kind: "webhook", name: "any JSON by paths", fields: map[string]string{"contact.mail": "email", "contact.names.0": "first_name", "contact.names.1": "last_name", "deal.form": "property.form_id"}, options: map[string]string{"activity.demo.booked": "demo_requested"},
			body: `{"type":"demo.booked","contact":{"mail":"jo@acme.example","names":["Jo","Doe"]},"deal":{"form":5}}`,
			want: []string{"lead s/msg_1 demo_requested jo@acme.example  Jo Doe gclid= campaign= form=5"},
		},
		{
			kind: "webhook", name: "a list", options: map[string]string{"items": "leads"},
			body: `{"leads":[{"email":"jo@acme.example"},{"company":"Acme"}]}`,
			want: []string{"lead s/msg_1/0 form_submitted jo@acme.example    gclid= campaign= form=", "fault profile.email"},
		},
		{
			kind: "cloudevents", name: "structured", header: []string{"Content-Type", "application/cloudevents+json; charset=utf-8"},
			body: `{"specversion":"1.0","id":"e1","source":"/shop","type":"com.example.demo.requested","data":{"email":"jo@acme.example"}}`,
			want: []string{"lead s//shop|e1 demo_requested jo@acme.example    gclid= campaign= form="},
		},
		{
			kind: "cloudevents", name: "binary", options: map[string]string{"subject": "email"},
			header: []string{"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Id", "e2", "Ce-Source", "/shop", "Ce-Type", "demo_requested", "Ce-Subject", "jo%40acme.example"},
			body:   `{"form_id":"x"}`, want: []string{"lead s//shop|e2 demo_requested jo@acme.example    gclid= campaign= form="},
		},
		{
			kind: "cloudevents", name: "batched, one of them wrong", header: []string{"Content-Type", "application/cloudevents-batch+json"},
			body: `[{"specversion":"1.0","id":"e3","source":"/shop","type":"demo_requested","data":{"email":"jo@acme.example"}},{"specversion":"0.2","id":"e4"}]`,
			want: []string{"lead s//shop|e3 demo_requested jo@acme.example    gclid= campaign= form=", "fault specversion"},
		},
		{
			kind: "crm", name: "our words",
			body: `{"handoff_id":"ho_0193f00000007000800000000000aaaa_1_1","status":"won","amount":"1,250.50","currency":"eur"}`,
			want: []string{"sales WON 0193f00000007000800000000000aaaa 125050 EUR"},
		},
		{
			kind: "crm", name: "their words", fields: map[string]string{"record.np": "lead_id", "record.stage": "status", "record.why": "reason"}, options: map[string]string{"rejected": "Dead, Junk", "reason.no_budget": "Too expensive"},
			body: `{"record":{"np":"lead-1","stage":"Dead","why":"Too expensive"}}`, want: []string{"sales REJECTED lead-1 REJECT_REASON_NO_BUDGET"},
		},
		{
			kind: "crm", name: "odoo", options: map[string]string{"words": "odoo"},
			body: `{"lead_id":"lead-1","type":"lead","active":false}`, want: []string{"sales REJECTED lead-1"},
		},
		{
			kind: "crm", name: "salesforce", options: map[string]string{"words": "salesforce"},
			body: `{"lead_id":"lead-1","Status":"Working - Contacted"}`, want: []string{"sales ACCEPTED lead-1"},
		},
		{kind: "crm", name: "a word nobody knows", body: `{"lead_id":"lead-1","status":"frozen"}`, want: []string{"fault status"}},
	}
}

func (c contract) source(secrets ...string) *source.Source {
	return &source.Source{Name: "s", Kind: c.kind, Secrets: secrets, Fields: c.fields, Options: c.options}
}

// request is the message as its sender sends it at a time, signed with the
// source's first secret.
func (c contract) request(t testing.TB, src *source.Source, at time.Time) hook.Request {
	t.Helper()
	w := sample.What{Base: base, ID: "msg_1", Now: at}
	if c.body != "" {
		w.Body = []byte(c.body)
	}
	r, _, err := sample.Call(src, w)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(c.header); i += 2 {
		r.Header.Set(c.header[i], c.header[i+1])
	}
	r.Received = now
	return r
}

// nobody is an Amazon that cannot be reached.
type nobody struct{}

func (nobody) Certificate(string) (*x509.Certificate, error) { return nil, hook.ErrUnavailable }
func (nobody) Confirm(string) error                          { return hook.ErrUnavailable }

func TestEveryDialectKeepsTheContract(t *testing.T) {
	sampled := map[string]bool{}
	for _, c := range contracts() {
		sampled[c.kind] = sampled[c.kind] || c.body == ""
		t.Run(c.kind+": "+c.name, func(t *testing.T) {
			both := c.source(newSecret, oldSecret)
			for _, secret := range both.Secrets { // the new one and the one to go
				d, r := All(nobody{})[c.kind], c.request(t, c.source(secret), now)
				if err := d.Verify(r, both); err != nil {
					t.Fatalf("a right signature: %v", err)
				}
				c.reads(t, d, r, both)
			}
			c.forgeries(t, All(nobody{})[c.kind], both)
		})
	}
	for kind, d := range All(nobody{}) {
		if _, known := source.Kinds()[kind]; known && !theirs(kind) && !sampled[kind] {
			t.Errorf("what becomes of the sample of %s is not said here", kind)
		}
		_, _, err := sample.Call(&source.Source{Name: "s", Kind: kind, Secrets: []string{newSecret}}, sample.What{Base: base, Now: now})
		if theirs(kind) != (err != nil) {
			t.Errorf("a sample of %T: %v", d, err)
		}
	}
}

// theirs are kinds that sign with a key which only the sender has: there can be
// no sample. Their messages are tried in package fate.
func theirs(kind string) bool { return kind == "ses" || kind == "sendgrid" }

// reads compares what a message tells with what it must.
func (c contract) reads(t *testing.T, d hook.Dialect, r hook.Request, src *source.Source) {
	t.Helper()
	read, err := d.Read(r, src)
	if err != nil {
		t.Fatal(err)
	}
	for i, it := range read.Items {
		if got := told(it); i >= len(c.want) || !matches(got, c.want[i]) {
			t.Errorf("item %d:\n got %s\nwant %s", i, got, slices.Concat(c.want, []string{"nothing"})[min(i, len(c.want))])
		}
	}
	if len(read.Items) != len(c.want) {
		t.Errorf("%d items, expected %d", len(read.Items), len(c.want))
	}
}

func (c contract) forgeries(t *testing.T, d hook.Dialect, src *source.Source) {
	t.Helper()
	if err := d.Verify(c.request(t, c.source("whsec_d3Jvbmc="), now), src); !errors.Is(err, hook.ErrForged) {
		t.Errorf("a wrong secret: %v", err)
	}
	if err := d.Verify(c.bare(t), src); !errors.Is(err, hook.ErrUnsigned) {
		t.Errorf("no signature: %v", err)
	}
	if !slices.Contains([]string{"google_ads", "postmark", "mailgun"}, c.kind) { // their proof is not over the body
		r := c.request(t, src, now)
		r.Body = append(r.Body, ' ')
		if err := d.Verify(r, src); !errors.Is(err, hook.ErrForged) {
			t.Errorf("a changed body: %v", err)
		}
	}
	if !slices.Contains([]string{"google_ads", "meta", "linkedin", "typeform", "postmark", "mailgun"}, c.kind) { // theirs carries no time, or is tried in package fate
		for _, off := range []time.Duration{-6 * time.Minute, 6 * time.Minute} {
			if err := d.Verify(c.request(t, src, now.Add(off)), src); !errors.Is(err, hook.ErrStale) {
				t.Errorf("signed at %s: %v", off, err)
			}
		}
	}
	if err := d.Verify(c.request(t, src, now), c.source()); err == nil {
		t.Error("a source without secrets lets everybody in")
	}
}

// bare is the message without what its sender proves itself with.
func (c contract) bare(t *testing.T) hook.Request {
	t.Helper()
	r := c.request(t, c.source(newSecret), now)
	kept := http.Header{"Content-Type": r.Header["Content-Type"]}
	for i := 0; i+1 < len(c.header); i += 2 {
		kept.Set(c.header[i], c.header[i+1])
	}
	r.Header = kept
	for _, proof := range []string{"google_key", "signature"} {
		r.Body = bytes.Replace(r.Body, []byte(`"`+proof+`":`), []byte(`"x":`), 1)
	}
	return r
}

func TestWhatIsNoMessageIsAnErrorAndNeverAPanic(t *testing.T) {
	for kind, d := range All(nobody{}) {
		src := &source.Source{Name: "s", Kind: kind, Secrets: []string{newSecret}}
		for _, body := range []string{"", "null", "7", `"x"`, "{", "[1]", strings.Repeat("[", 100) + strings.Repeat("]", 100), "\xff", `{"a":1} x`} {
			h := http.Header{}
			if kind == "cloudevents" {
				h.Set("Content-Type", "application/cloudevents+json")
			}
			read, err := d.Read(hook.Request{Method: "POST", Header: h, Body: []byte(body), Received: now}, src)
			if err == nil && slices.ContainsFunc(read.Items, func(i hook.Item) bool { return i.Submission != nil || i.Fetch != nil || i.Sales != nil }) {
				t.Errorf("%s made something of %.20q: %v", kind, body, read)
			}
		}
	}
}

func TestTheOptionsOfADialectAreThoseThatSourcesYAMLTakes(t *testing.T) {
	for kind, d := range All(nobody{}) {
		s, ok := d.(hook.Setter)
		if !ok {
			continue
		}
		var names []string
		for name := range s.Options() {
			names = append(names, name)
		}
		slices.Sort(names)
		known := slices.Sorted(slices.Values(source.Kinds()[kind].Options))
		if !slices.Equal(names, known) {
			t.Errorf("%s knows the options %v, source.Kinds %v", kind, names, known)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range contracts() {
		f.Add(c.kind, string(c.request(f, c.source(newSecret), now).Body))
	}
	all := All(nobody{})
	f.Fuzz(func(t *testing.T, kind, body string) {
		d, ok := all[kind]
		if !ok {
			return
		}
		h := http.Header{"Content-Type": {"application/cloudevents-batch+json"}}
		src := &source.Source{Name: "s", Kind: kind, Secrets: []string{newSecret}, Options: map[string]string{"words": "odoo"}}
		read, err := d.Read(hook.Request{Method: "POST", Header: h, Body: []byte(body), Received: now}, src)
		if err != nil {
			return
		}
		for _, it := range read.Items {
			n := 0
			for _, is := range []bool{it.Submission != nil, it.Fetch != nil, it.Sales != nil, it.Ignored != "", it.Submission == nil && len(it.Faults) > 0} {
				if is {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s made %d things of one: %+v", kind, n, it)
			}
			if len(it.ID) > 200 {
				t.Errorf("an id of %d bytes", len(it.ID))
			}
		}
	})
}

func matches(got, want string) bool {
	before, after, star := strings.Cut(want, "*")
	return got == want || star && strings.HasPrefix(got, before) && strings.HasSuffix(got, after)
}

// told writes an item in one line.
func told(it hook.Item) string {
	switch {
	case it.Ignored != "":
		return "ignored " + it.Ignored
	case it.Fetch != nil:
		return "fetch " + it.Fetch.GetKind() + " " + it.Fetch.GetRef() + " form=" + it.Fetch.GetFacts()["form_id"]
	case it.Sales != nil:
		return saleTold(it.Sales)
	case it.Submission == nil && len(it.Faults) > 0:
		return "fault " + it.Faults[0].Field
	case it.Submission == nil:
		return "nothing"
	}
	c := it.Submission.Apply.GetCapture()
	if it.Submission.Kind == person.KindAccount {
		return "company " + it.Submission.ID + " " + strings.Join(c.GetCompany().GetExternalIds(), " ")
	}
	if it.Task != "" {
		return "erase " + it.Submission.ID + " of " + c.GetExternalId()
	}
	p, a := c.GetProfile(), c.GetActivity()
	return strings.Join([]string{
		"lead", it.Submission.ID, a.GetType(), p.GetEmail(), p.GetPhone(), p.GetFirstName(), p.GetLastName(),
		"gclid=" + c.GetAttribution().GetClickIds()["gclid"], "campaign=" + c.GetAttribution().GetUtmCampaign(), "form=" + a.GetProperties()["form_id"],
	}, " ")
}

func saleTold(s *hook.Sales) string {
	words := []string{"sales", strings.TrimPrefix(s.GetStatus().String(), "SALES_STATUS_"), s.GetLeadId() + s.GetExternalId()}
	if s.GetAmountMinor() > 0 {
		words = append(words, strconv.FormatInt(s.GetAmountMinor(), 10), s.GetCurrency())
	}
	if s.GetReason() > 0 {
		words = append(words, s.GetReason().String())
	}
	return strings.Join(words, " ")
}

func TestLinkedInAndMetaAreGreeted(t *testing.T) {
	src := &source.Source{Name: "s", Secrets: []string{newSecret}, Credentials: map[string]string{"verify_token": "vt"}}
	ask := func(kind, query string) (*hook.Answer, error) {
		q, _ := url.ParseQuery(query)
		return All(nobody{})[kind].(hook.Greeter).Greet(hook.Request{Method: "GET", Query: q}, src)
	}
	if a, err := ask("meta", "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=vt"); err != nil || string(a.Body) != "1158201444" {
		t.Errorf("meta: %v, %v", a, err)
	}
	if _, err := ask("meta", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=no"); !errors.Is(err, hook.ErrForged) {
		t.Errorf("a wrong verify token: %v", err)
	}
	a, err := ask("linkedin", "challengeCode=c0de")
	if err != nil {
		t.Fatal(err)
	}
	var said map[string]string
	if err := json.Unmarshal(a.Body, &said); err != nil || said["challengeResponse"] != hook.Hex(hook.HMAC([]byte(newSecret), []byte("c0de"))) {
		t.Errorf("linkedin: %s", a.Body)
	}
}
