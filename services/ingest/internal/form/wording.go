package form

import (
	"strings"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// flagged is the property of the activity that names the purposes whose words
// were other ones than the source's.
const flagged = "consent_differs"

// consents records the ticked boxes with the words beside them. A box that is
// not ticked is no answer.
func (f *reader) consents() {
	for _, c := range f.form.Consents {
		if ticked(f.values[c.Field.Value]) {
			f.req.Consents = append(f.req.Consents, f.consent(c))
		}
	}
	if f.optOut {
		f.req.Consents = append(f.req.Consents, &leadv1.Consent{
			Purpose: marketing, Source: f.src.Name, SourceUrl: f.page, Method: "form", Ip: f.by.IP, UserAgent: f.by.UserAgent,
		})
	}
}

// marketing is the purpose that an opt-out of e-mail is about.
const marketing = "marketing_email"

// consent records a ticked box. When the form says which words it showed, those
// are the proof: if they are not the source's, the answer is kept with them, not
// with ours, and flagged.
func (f *reader) consent(c source.ConsentSpec) *leadv1.Consent {
	said := &leadv1.Consent{
		Purpose: c.Purpose.Value, Granted: true, Text: c.Text.Value, TextVersion: c.Version,
		Source: f.src.Name, SourceUrl: f.page, Method: "form", Ip: f.by.IP, UserAgent: f.by.UserAgent,
	}
	text, version := f.shown(c, "text"), f.shown(c, "version")
	sameText := text == "" || words(text) == words(c.Text.Value)
	sameVersion := version == "" || version == c.Version
	if sameText && sameVersion {
		return said
	}
	if !sameText {
		said.Text = text
	}
	said.TextVersion = version
	p := f.req.Activity.Properties
	p[flagged] = strings.TrimPrefix(p[flagged]+" "+c.Purpose.Value, " ")
	return said
}

// shown gives what the form says it showed beside a box, in a field named after
// the box, or after all of them when there is only one.
func (f *reader) shown(c source.ConsentSpec, what string) string {
	names := []string{c.Field.Value + "_" + what}
	if len(f.form.Consents) == 1 {
		names = append(names, "consent_"+what)
	}
	for _, name := range names {
		if v := f.values[name]; len(v) > 0 && strings.TrimSpace(v[0]) != "" {
			return strings.TrimSpace(v[0])
		}
	}
	return ""
}

// words compares texts by their words: pages wrap lines as they like.
func words(s string) string { return normal.Text(s, len(s)) }
