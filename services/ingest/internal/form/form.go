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
	out      Reading
}

// field enters one field under what it means.
func (f *reader) field(sent, value string) {
	name := normal.SnakeCase(sent)
	if ours, ok := f.form.Fields[name]; ok {
		name = ours
	}
	switch {
	case sent == f.form.Honeypot:
		f.out.Machine = value != ""
	case value == "" || f.checkbox(sent) || housekeeping(name):
	case name == "redirect" || name == "next" || name == "ret_url":
		f.out.Redirect = value
	case name == "form" || name == "form_name":
		f.req.Activity.Properties["form"], f.req.Activity.Type = f.form.Means(value)
	case name == "page_url" || name == "landing_page" || name == "page":
		f.page = value
	case name == "referrer" || name == "referer":
		f.referrer = value
	case name == "message" || name == "comments" || name == "comment" || name == "question":
		f.req.Activity.Properties["message"] = value
	case normal.Tell(f.req, name, value):
	case normal.Tag(f.req.GetAttribution(), name, value):
	default:
		f.req.Profile.Attributes[name] = value
	}
}

// housekeeping are fields that belong to the form, not to the person.
func housekeeping(name string) bool {
	switch name {
	case "", "submit", "csrf", "csrf_token", "oid", "debug", "debug_email", "encoding", "write_key":
		return true
	}
	return strings.HasPrefix(name, "consent")
}

func (f *reader) checkbox(sent string) bool {
	return slices.ContainsFunc(f.form.Consents, func(c source.ConsentSpec) bool { return c.Field.Value == sent })
}

// attribute adds what the page's own address says to what the fields said.
func (f *reader) attribute() {
	told := f.req.GetAttribution()
	page := normal.Campaign(f.page, f.referrer)
	switch {
	case page == nil && !normal.Told(told):
		f.req.Attribution = nil
		return
	case page == nil:
		page = told
	case normal.Told(told):
		told.Referrer, told.LandingPage = page.GetReferrer(), page.GetLandingPage()
		page = told
	}
	f.req.Attribution = page
	if page.GetLandingPage() != "" {
		f.req.Activity.Properties["url"] = page.GetLandingPage()
	}
}

// consents records the ticked boxes with the words beside them. A box that is
// not ticked is no answer.
func (f *reader) consents() {
	for _, c := range f.form.Consents {
		if !ticked(f.values[c.Field.Value]) {
			continue
		}
		f.req.Consents = append(f.req.Consents, &leadv1.Consent{
			Purpose: c.Purpose.Value, Granted: true, Text: c.Text.Value, TextVersion: c.Version,
			Source: f.src.Name, SourceUrl: f.page, Method: "form", Ip: f.by.IP, UserAgent: f.by.UserAgent,
		})
	}
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
		own := normal.SnakeCase(sent)
		if ours, ok := f.form.Fields[own]; ok {
			own = ours
		}
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
