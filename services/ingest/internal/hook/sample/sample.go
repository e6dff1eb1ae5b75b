// Package sample writes calls as the sender of a source would, signed with the
// source's own secret: whoever connects a source can try it before its sender
// does. Pure.
package sample

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/standard"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Address is the person of all samples. The top-level domain test is reserved
// for this (RFC 2606): no mail can ever reach it.
const Address = "source-test@nurture.test"

// errTheirs: nobody but the sender can sign for it.
var errTheirs = errors.New("this sender signs with a key that only it has: use the test button of its console, and look at `nurture source list` and `nurture rejects list`")

// errSecretless: there is nothing to sign with.
var errSecretless = errors.New("the source has no secret to sign with; add secrets: to it in sources.yaml")

// What is to be sent.
type What struct {
	// Base is the public address of ingest, like https://in.example.com.
	Base string
	// ID makes the sample another event than the samples before it.
	ID string
	// Body is sent instead of the sample; nil: the sample.
	Body        []byte
	ContentType string
	Now         time.Time
}

// kind is how one kind of sender writes.
type kind struct {
	// body is its message; %ID% stands for the id, %AT% for the time in seconds.
	body string
	// build makes the message when it depends on the source's mapping.
	build       func(src *source.Source) string
	contentType string
	sign        func(secret string, w What, r *hook.Request)
	// reads says why the sample must only be read; empty: it may be recorded.
	reads string
}

const (
	noLead   = "a sample names no mail that was really sent"
	noFetch  = "its lead would be asked for, and a sample's does not exist"
	noReport = "a sample names no real handoff"
)

func kinds() map[string]kind {
	return map[string]kind{
		"google_ads": {body: googleBody, sign: inBody},
		"meta":       {body: metaBody, sign: hex("X-Hub-Signature-256", "sha256=", ""), reads: noFetch},
		"linkedin":   {body: linkedinBody, sign: hex("X-Li-Signature", "", "hmacsha256="), reads: noFetch},
		"typeform":   {build: typeform, sign: base64("Typeform-Signature", "sha256=")},
		"hubspot":    {body: hubspotBody, sign: hubspot},
		"webhook":    {build: mapped, sign: standardly},
		"cloudevents": {
			body: cloudeventsBody, contentType: "application/cloudevents+json", sign: standardly,
		},
		"crm":      {build: status, sign: standardly, reads: noReport},
		"postmark": {body: postmarkBody, sign: bearer, reads: noLead},
		"mailgun":  {body: mailgunBody, sign: mailgun, reads: noLead},
		"resend":   {body: resendBody, sign: standardly, reads: noLead},
	}
}

// Call writes a call of a source's webhooks. held says why what comes of it must
// not be recorded; empty when it may. An error says what stands in the way.
func Call(src *source.Source, w What) (req hook.Request, held string, err error) {
	k, ok := kinds()[src.Kind]
	switch {
	case !ok:
		return hook.Request{}, "", errTheirs
	case len(src.Secrets) == 0:
		return hook.Request{}, "", errSecretless
	}
	req = hook.Request{
		Method: http.MethodPost, URL: w.Base + "/v1/hooks/" + src.Name, Query: url.Values{}, Header: http.Header{}, Body: w.Body, Received: w.Now,
	}
	if w.Body == nil {
		held = k.reads
		text := k.body
		if k.build != nil {
			text = k.build(src)
		}
		req.Body = []byte(strings.NewReplacer("%ID%", w.ID, "%AT%", strconv.FormatInt(w.Now.Unix(), 10)).Replace(text))
	}
	req.Header.Set("Content-Type", first(w.ContentType, k.contentType, "application/json"))
	k.sign(src.Secrets[0], w, &req)
	return req, held, nil
}

func first(texts ...string) string {
	return texts[slices.IndexFunc(texts, func(s string) bool { return s != "" })]
}

// mapped is a message in the words of the source: each path that its fields
// name, with a value for what it means.
func mapped(src *source.Source) string {
	root := tree{}
	for _, path := range paths(src) {
		root.set(path, valueOf(src.Fields[path]))
	}
	if !slices.Contains(slices.Collect(maps.Values(src.Fields)), "email") {
		root.set("email", Address)
	}
	for _, option := range slices.Sorted(maps.Keys(src.Options)) {
		if kind, ok := strings.CutPrefix(option, hook.OptionActivity+"."); ok {
			root.set(first(src.Options[standard.OptionType], "type"), kind)
			break
		}
	}
	return listed(src, root)
}

// paths are the names of a source's fields as its sender writes them: a path is
// also known by its words in snake case, which nobody sends.
func paths(src *source.Source) []string {
	names := slices.Sorted(maps.Keys(src.Fields))
	return slices.DeleteFunc(names, func(n string) bool {
		return slices.ContainsFunc(names, func(other string) bool {
			return other != n && strings.ReplaceAll(other, ".", "_") == n
		})
	})
}

// listed is the message, inside a list when the source says that it comes in one.
func listed(src *source.Source, root tree) string {
	path := src.Options[standard.OptionItems]
	if path == "" {
		return root.json()
	}
	around := tree{}
	around.set(path, raw("["+root.json()+"]"))
	return around.json()
}

// status is what a CRM says, in the words of the source.
func status(src *source.Source) string {
	switch src.Options["words"] {
	case "odoo":
		return `{"lead_id":"source-test","type":"opportunity","active":true}`
	case "salesforce":
		return `{"lead_id":"source-test","Status":"Working - Contacted"}`
	}
	word, _, _ := strings.Cut(first(src.Options["accepted"], "accepted"), ",")
	root := tree{"lead_id": "source-test", "status": strings.TrimSpace(word)}
	for _, path := range paths(src) {
		meaning := src.Fields[path]
		if value, ok := root[meaning]; ok {
			delete(root, meaning)
			root.set(path, value)
		}
	}
	return listed(src, root)
}

// typeform is a form whose questions have the refs that the source's fields name.
func typeform(src *source.Source) string {
	answers := []string{`{"type":"email","email":"` + Address + `","field":{"ref":"email"}}`}
	for _, ref := range slices.Sorted(maps.Keys(src.Fields)) {
		value := valueOf(src.Fields[ref])
		answers = append(answers, fmt.Sprintf(`{"type":"text","text":%q,"field":{"ref":%q}}`, value, ref))
	}
	return `{"event_id":"%ID%","event_type":"form_response","form_response":{"form_id":"source-test","token":"%ID%","hidden":{"utm_source":"source-test"},"answers":[` +
		strings.Join(answers, ",") + `]}}`
}

// valueOf is a value for a field of ours.
func valueOf(meaning string) string {
	if v, ok := map[string]string{
		"email": Address, "phone": "+4930901820", "country": "DE", "first_name": "Source", "last_name": "Test",
		"name": "Source Test", "company": "Example", "title": "Tester", "activity": "form_submitted",
	}[meaning]; ok {
		return v
	}
	return "source test"
}
