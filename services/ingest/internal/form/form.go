// Package form reads what a web form sent: any field names, one lead. Pure.
package form

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Fields that our own pages and the snippet add to a form.
const (
	// TokenField says when the form was shown, signed.
	TokenField = "_nt"
	// FirstField says where the visitor came from at the first visit.
	FirstField = "_nf"
	// HostedField marks the form of our own page.
	HostedField = "_nh"
)

// Values are a form's fields as they were sent.
type Values map[string][]string

// Visitor is what the request says beyond its fields.
type Visitor struct {
	IP, UserAgent, Referer string
}

// Reading is what a form said.
type Reading struct {
	Capture *ingestv1.CaptureLeadRequest
	// Redirect is where the form asks to send the browser; not yet allowed.
	Redirect string
	// Machine: the field that people do not see was filled.
	Machine bool
	// Token says when the form was shown; not yet checked.
	Token string
	// First is what the snippet says about the first visit; see FirstVisit.
	First string
	// Faults are the fields that cannot be used.
	Faults []normal.Fault
}

// Read makes a capture of a form of this source. Fields it does not know are
// kept as attributes, long words as the activity's message.
func Read(src *source.Source, values Values, by Visitor) Reading {
	f := &reader{src: src, form: src.Form, by: by, values: values, page: by.Referer}
	f.req = &ingestv1.CaptureLeadRequest{
		Source:      src.Name,
		Profile:     &leadv1.Profile{Attributes: map[string]string{}},
		Attribution: &leadv1.Attribution{},
		Activity:    &leadv1.Activity{Type: src.Form.Activity, Properties: map[string]string{"form": src.Form.Name}},
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		f.field(name, strings.TrimSpace(strings.Join(values[name], ", ")))
	}
	f.attribute()
	f.consents()
	f.out.Capture = f.req
	f.out.Faults = append(normal.Capture(f.req, src.Country), f.missing()...)
	return f.out
}

type reader struct {
	src      *source.Source
	form     *source.Form
	by       Visitor
	values   Values
	req      *ingestv1.CaptureLeadRequest
	page     string
	referrer string
	// optOut: a field of Web-to-Lead asks for no more e-mails.
	optOut bool
	out    Reading
}

// field enters one field under what it means.
func (f *reader) field(sent, value string) {
	name := f.meaning(sent)
	switch {
	case sent == f.form.Honeypot:
		f.out.Machine = value != ""
	case value == "" || f.checkbox(sent) || sent == HostedField || housekeeping(name):
	case sent == TokenField:
		f.out.Token = value
	case sent == FirstField:
		f.out.First = value
	case f.technical(name, value):
	case name == "form" || name == "form_name":
		f.req.Activity.Properties["form"], f.req.Activity.Type = f.form.Means(value)
	case name == "message" || name == "comments" || name == "comment" || name == "question":
		f.req.Activity.Properties["message"] = value
	case normal.Tell(f.req, name, value):
	case normal.Tag(f.req.GetAttribution(), name, value):
	default:
		f.req.Profile.Attributes[name] = value
	}
}

// meaning gives our name of a field: by the form's own list, by the source's, by
// Salesforce's names when the form was made for it, else its own.
func (f *reader) meaning(sent string) string {
	name := normal.SnakeCase(sent)
	for _, list := range [...]map[string]string{f.form.Fields, f.src.Fields} {
		if ours, ok := list[name]; ok {
			return ours
		}
	}
	if len(f.values["oid"]) == 0 {
		return name
	}
	if customField(sent) {
		return strings.ToLower(sent)
	}
	return webToLead(name)
}

// technical enters what a page adds to a form by itself, and reports whether
// the field was that.
func (f *reader) technical(name, value string) bool {
	switch name {
	case "redirect", "next", "ret_url":
		f.out.Redirect = value
	case "page_url", "landing_page", "page":
		f.page = value
	case "referrer", "referer":
		f.referrer = value
	case "email_opt_out", "has_opted_out_of_email":
		f.optOut = ticked([]string{value})
	default:
		return false
	}
	return true
}

// housekeeping are fields that belong to the form, not to the person.
func housekeeping(name string) bool {
	switch name {
	case "", "submit", "csrf", "csrf_token", "oid", "debug", "debug_email", "encoding", "write_key":
		return true
	}
	return strings.HasPrefix(name, "consent")
}

// checkbox reports whether a field is one of the boxes, or says which words were
// beside it.
func (f *reader) checkbox(sent string) bool {
	return slices.ContainsFunc(f.form.Consents, func(c source.ConsentSpec) bool {
		box := c.Field.Value
		return sent == box || sent == box+"_text" || sent == box+"_version"
	})
}

func ticked(values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "", "0", "no", "off", "false", "none":
			return false
		}
		return true
	})
}

// missing lists the required fields that nothing filled.
func (f *reader) missing() []normal.Fault {
	var faults []normal.Fault
	for _, name := range f.form.Required {
		if !f.filled(name) {
			faults = append(faults, normal.Fault{Field: name, Message: "is required"})
		}
	}
	return faults
}

// filled reports whether a field was sent, under its own name or one that means
// the same. A value that could not be read counts: it has its own fault.
func (f *reader) filled(name string) bool {
	for sent, v := range f.values {
		own := f.meaning(sent)
		if (sent == name || own == name || same(own, name)) && strings.TrimSpace(strings.Join(v, "")) != "" {
			return true
		}
	}
	return false
}

// same reports whether two field names fill the same place of a lead.
func same(a, b string) bool {
	x, known := place(a)
	y, also := place(b)
	return known && also && proto.Equal(x, y)
}

func place(name string) (*ingestv1.CaptureLeadRequest, bool) {
	req := &ingestv1.CaptureLeadRequest{Profile: &leadv1.Profile{}}
	known := normal.Tell(req, name, "x")
	return req, known
}
