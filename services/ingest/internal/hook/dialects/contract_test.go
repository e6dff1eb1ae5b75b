package dialects

import (
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
	"github.com/nurturehq/nurture/services/ingest/internal/hook/standard"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

const (
	newSecret = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldw=="
	oldSecret = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZA=="
	address   = "https://in.example.com/v1/hooks/s"
)

var now = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)

// sign adds what the sender of a kind signs with.
type sign func(secret string, at time.Time, r *hook.Request)

func mac(header, prefix, signed string, encode hook.Encoding) sign {
	return func(secret string, _ time.Time, r *hook.Request) {
		r.Header.Set(header, prefix+encode(hook.HMAC([]byte(secret), []byte(signed), r.Body)))
	}
}

func standardly(secret string, at time.Time, r *hook.Request) {
	ts := strconv.FormatInt(at.Unix(), 10)
	r.Header.Set("Webhook-Id", "msg_1")
	r.Header.Set("Webhook-Timestamp", ts)
	r.Header.Set("Webhook-Signature", standard.Sign(secret, "msg_1", ts, r.Body))
}

func hubspotly(secret string, at time.Time, r *hook.Request) {
	ts := strconv.FormatInt(at.UnixMilli(), 10)
	r.Header.Set("X-Hubspot-Request-Timestamp", ts)
	r.Header.Set("X-Hubspot-Signature-V3", hook.Base64(hook.HMAC([]byte(secret), []byte(r.Method), []byte(r.URL), r.Body, []byte(ts))))
}

func googly(secret string, _ time.Time, r *hook.Request) {
	r.Body = []byte(strings.Replace(string(r.Body), "KEY", secret, 1))
}

// contract is what one dialect must do with one sample of its sender.
type contract struct {
	kind, name string
	sign       sign
	stale      bool // the signature carries a time
	body       string
	header     []string
	fields     map[string]string
	options    map[string]string
	// want are the items, one a line, as told writes them.
	want []string
}

func contracts() []contract {
	metaSign := mac("X-Hub-Signature-256", "sha256=", "", hook.Hex)
	linkedinSign := mac("X-Li-Signature", "", "hmacsha256=", hook.Hex)
	typeformSign := mac("Typeform-Signature", "sha256=", "", hook.Base64)
	return []contract{
		{
			kind: "google_ads", name: "a form", sign: googly,
			body: `{"lead_id":"L1","user_column_data":[{"column_name":"Full Name","string_value":"Jo Doe","column_id":"FULL_NAME"},{"string_value":"Jo@acme.example","column_id":"EMAIL"},{"string_value":"+16505550123","column_id":"PHONE_NUMBER"}],"form_id":40000000000,"campaign_id":9223372036854775807,"google_key":"KEY","gcl_id":"g1","new_thing":{"x":1}}`,
			want: []string{"lead s/L1 form_submitted jo@acme.example +16505550123 Jo Doe gclid=g1 campaign=9223372036854775807 form=40000000000"},
		},
		{
			kind: "google_ads", name: "a test is never counted", sign: googly,
			body: `{"lead_id":"L2","google_key":"KEY","is_test":true,"user_column_data":[{"column_id":"EMAIL","string_value":"test@example.com"}]}`,
			want: []string{"ignored test"},
		},
		{kind: "google_ads", name: "a lead without an address", sign: googly, body: `{"lead_id":"L3","google_key":"KEY"}`, want: []string{"fault profile.email"}},
		{
			kind: "meta", name: "a batch with ids as numbers and texts", sign: metaSign,
			body: `{"object":"page","entry":[{"id":1,"changes":[{"field":"leadgen","value":{"leadgen_id":444444444444444444,"form_id":12,"created_time":1440120384}},{"field":"feed","value":{}}]},{"id":"2","changes":[{"field":"leadgen","value":{"leadgen_id":"123"}},{"field":"leadgen","value":{}}]}]}`,
			want: []string{"fetch lead 444444444444444444 form=12", "ignored not_about_a_lead", "fetch lead 123 form=", "fault leadgen_id"},
		},
		{
			kind: "linkedin", name: "a new lead", sign: linkedinSign,
			body: `{"type":"LEAD_ACTION","leadGenFormResponse":"urn:li:leadGenFormResponse:abc","leadGenForm":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:1,1)","leadAction":"CREATED","occurredAt":1761000000000}`,
			want: []string{"fetch lead urn:li:leadGenFormResponse:abc form=urn:li:versionedLeadGenForm:(urn:li:leadGenForm:1,1)"},
		},
		{
			kind: "linkedin", name: "somebody who wants to be forgotten", sign: linkedinSign,
			body: `{"type":"LEAD_ACTION","leadGenFormResponse":"urn:li:leadGenFormResponse:abc","leadAction":"DELETED","occurredAt":1761000000000}`,
			want: []string{"erase s/urn:li:leadGenFormResponse:abc/DELETED of urn:li:leadGenFormResponse:abc"},
		},
		{
			kind: "typeform", name: "a form", sign: typeformSign, fields: map[string]string{"firm": "company"},
			body: `{"event_id":"e1","event_type":"form_response","form_response":{"form_id":"f1","token":"t1","submitted_at":"2026-11-25T09:00:00Z","hidden":{"utm_campaign":"spring","gclid":"g2"},"definition":{"fields":[{"id":"1","title":"Your name","ref":"n"}]},"answers":[{"type":"text","text":"Jo Doe","field":{"ref":"n"}},{"type":"email","email":"jo@acme.example","field":{"ref":"m"}},{"type":"choice","choice":{"label":"Acme"},"field":{"ref":"firm"}},{"type":"phone_number","phone_number":"+4930901820","field":{"ref":"p"}}]}}`,
			want: []string{"lead s/t1 form_submitted jo@acme.example +4930901820 Jo Doe gclid=g2 campaign=spring form=f1"},
		},
		{kind: "typeform", name: "a form that was only begun", sign: typeformSign, body: `{"event_id":"e2","event_type":"form_response_partial"}`, want: []string{"ignored not_about_a_lead"}},
		{
			kind: "hubspot", name: "events of the CRM", sign: hubspotly, stale: true,
			body: `[{"eventId":100,"subscriptionType":"contact.creation","objectId":7},{"eventId":101,"subscriptionType":"contact.propertyChange","objectId":7,"propertyName":"hs_lead_status","propertyValue":"UNQUALIFIED"},{"eventId":102,"subscriptionType":"contact.propertyChange","objectId":7,"propertyName":"lifecyclestage","propertyValue":"subscriber"},{"eventId":103,"subscriptionType":"contact.privacyDeletion","objectId":7},{"eventId":104,"subscriptionType":"contact.deletion","objectId":7},{"eventId":105,"subscriptionType":"company.creation","objectId":8}]`,
			want: []string{"fetch contact 7 form=", "fetch status 7 form=", "ignored not_about_a_lead", "erase s/103 of contact/7", "sales DELETED contact/7", "ignored not_about_a_lead"},
		},
		{
			kind: "hubspot", name: "a form", sign: hubspotly, stale: true,
			body: `{"fields":[{"name":"email","value":"jo@acme.example"},{"name":"firstname","value":"Jo"},{"name":"lastname","value":"Doe"}],"context":{"pageUri":"https://www.example.com/?utm_campaign=spring&gclid=g3"}}`,
			want: []string{"lead s/form-* form_submitted jo@acme.example  Jo Doe gclid=g3 campaign=spring form="},
		},
		{
			kind: "webhook", name: "any JSON by paths", sign: standardly, stale: true, fields: map[string]string{"contact.mail": "email", "contact.names.0": "first_name", "contact.names.1": "last_name", "deal.form": "property.form_id"}, options: map[string]string{"activity.demo.booked": "demo_requested"},
			body: `{"type":"demo.booked","contact":{"mail":"jo@acme.example","names":["Jo","Doe"]},"deal":{"form":5}}`,
			want: []string{"lead s/msg_1 demo_requested jo@acme.example  Jo Doe gclid= campaign= form=5"},
		},
		{
			kind: "webhook", name: "a list", sign: standardly, stale: true, options: map[string]string{"items": "leads"},
			body: `{"leads":[{"email":"jo@acme.example"},{"company":"Acme"}]}`,
			want: []string{"lead s/msg_1/0 form_submitted jo@acme.example    gclid= campaign= form=", "fault profile.email"},
		},
		{
			kind: "cloudevents", name: "structured", sign: standardly, stale: true, header: []string{"Content-Type", "application/cloudevents+json; charset=utf-8"},
			body: `{"specversion":"1.0","id":"e1","source":"/shop","type":"com.example.demo.requested","data":{"email":"jo@acme.example"}}`,
			want: []string{"lead s//shop|e1 demo_requested jo@acme.example    gclid= campaign= form="},
		},
		{
			kind: "cloudevents", name: "binary", sign: standardly, stale: true, options: map[string]string{"subject": "email"},
			header: []string{"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Id", "e2", "Ce-Source", "/shop", "Ce-Type", "demo_requested", "Ce-Subject", "jo%40acme.example"},
			body:   `{"form_id":"x"}`, want: []string{"lead s//shop|e2 demo_requested jo@acme.example    gclid= campaign= form="},
		},
		{
			kind: "cloudevents", name: "batched, one of them wrong", sign: standardly, stale: true, header: []string{"Content-Type", "application/cloudevents-batch+json"},
			body: `[{"specversion":"1.0","id":"e3","source":"/shop","type":"demo_requested","data":{"email":"jo@acme.example"}},{"specversion":"0.2","id":"e4"}]`,
			want: []string{"lead s//shop|e3 demo_requested jo@acme.example    gclid= campaign= form=", "fault specversion"},
		},
		{
			kind: "crm", name: "our words", sign: standardly, stale: true,
			body: `{"handoff_id":"ho_0193f00000007000800000000000aaaa_1_1","status":"won","amount":"1,250.50","currency":"eur"}`,
			want: []string{"sales WON 0193f00000007000800000000000aaaa 125050 EUR"},
		},
		{
			kind: "crm", name: "their words", sign: standardly, stale: true, fields: map[string]string{"record.np": "lead_id", "record.stage": "status", "record.why": "reason"}, options: map[string]string{"rejected": "Dead, Junk", "reason.no_budget": "Too expensive"},
			body: `{"record":{"np":"lead-1","stage":"Dead","why":"Too expensive"}}`, want: []string{"sales REJECTED lead-1 REJECT_REASON_NO_BUDGET"},
		},
		{
			kind: "crm", name: "odoo", sign: standardly, stale: true, options: map[string]string{"words": "odoo"},
			body: `{"lead_id":"lead-1","type":"lead","active":false}`, want: []string{"sales REJECTED lead-1"},
		},
		{
			kind: "crm", name: "salesforce", sign: standardly, stale: true, options: map[string]string{"words": "salesforce"},
			body: `{"lead_id":"lead-1","Status":"Working - Contacted"}`, want: []string{"sales ACCEPTED lead-1"},
		},
		{kind: "crm", name: "a word nobody knows", sign: standardly, stale: true, body: `{"lead_id":"lead-1","status":"frozen"}`, want: []string{"fault status"}},
	}
}

func (c contract) source(secrets ...string) *source.Source {
	return &source.Source{Name: "s", Kind: c.kind, Secrets: secrets, Fields: c.fields, Options: c.options}
}

func (c contract) request(secret string, at time.Time) hook.Request {
	r := hook.Request{Method: http.MethodPost, URL: address, Query: url.Values{}, Header: http.Header{}, Body: []byte(c.body), Received: now}
	for i := 0; i+1 < len(c.header); i += 2 {
		r.Header.Set(c.header[i], c.header[i+1])
	}
	c.sign(secret, at, &r)
	return r
}

// nobody is an Amazon that cannot be reached.
type nobody struct{}

func (nobody) Certificate(string) (*x509.Certificate, error) { return nil, hook.ErrUnavailable }
func (nobody) Confirm(string) error                          { return hook.ErrUnavailable }

func TestEveryDialectKeepsTheContract(t *testing.T) {
	all := All(nobody{})
	tried := map[string]bool{}
	for _, c := range contracts() {
		tried[c.kind] = true
		t.Run(c.kind+": "+c.name, func(t *testing.T) {
			d := all[c.kind]
			src := c.source(newSecret, oldSecret)
			for _, secret := range src.Secrets { // the new one and the one to go
				r := c.request(secret, now)
				if err := d.Verify(r, src); err != nil {
					t.Fatalf("a right signature: %v", err)
				}
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
			c.forgeries(t, d, src)
		})
	}
	for kind := range all {
		if _, known := source.Kinds()[kind]; known && !tried[kind] && !elsewhere(kind) {
			t.Errorf("dialect %s has no sample", kind)
		}
	}
}

// elsewhere are kinds whose samples are tried in their own packages.
func elsewhere(kind string) bool {
	return slices.Contains([]string{"sendgrid", "ses", "postmark", "mailgun", "resend"}, kind)
}

func (c contract) forgeries(t *testing.T, d hook.Dialect, src *source.Source) {
	t.Helper()
	if err := d.Verify(c.request("whsec_d3Jvbmc=", now), src); !errors.Is(err, hook.ErrForged) {
		t.Errorf("a wrong secret: %v", err)
	}
	bare := c
	bare.sign = func(string, time.Time, *hook.Request) {}
	if c.kind == "google_ads" {
		bare.body = strings.Replace(c.body, `"google_key":"KEY"`, `"x":1`, 1)
	}
	if err := d.Verify(bare.request("", now), src); !errors.Is(err, hook.ErrUnsigned) {
		t.Errorf("no signature: %v", err)
	}
	if c.kind != "google_ads" { // whose key is in the body and signs nothing
		r := c.request(newSecret, now)
		r.Body = append(r.Body, ' ')
		if err := d.Verify(r, src); !errors.Is(err, hook.ErrForged) {
			t.Errorf("a changed body: %v", err)
		}
	}
	if c.stale {
		for _, off := range []time.Duration{-6 * time.Minute, 6 * time.Minute} {
			if err := d.Verify(c.request(newSecret, now.Add(off)), src); !errors.Is(err, hook.ErrStale) {
				t.Errorf("signed at %s: %v", off, err)
			}
		}
	}
	if err := d.Verify(c.request(newSecret, now), c.source()); err == nil {
		t.Error("a source without secrets lets everybody in")
	}
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
		f.Add(c.kind, c.body)
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
