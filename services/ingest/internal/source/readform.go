package source

import (
	"cmp"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

func (r *reader) form(source string, spec *FormSpec) *Form {
	f := &Form{
		Name:     cmp.Or(spec.Name, source),
		Activity: normal.SnakeCase(cmp.Or(spec.Activity.Value, "form_submitted")),
		Redirect: spec.Redirect.Value,
		Honeypot: cmp.Or(spec.Honeypot, "_gotcha"),
		Required: spec.Required,
		Fields:   map[string]string{},
		Consents: spec.Consents,
		named:    map[string]string{},
	}
	for name, activity := range spec.Named {
		f.named[normal.SnakeCase(name)] = normal.SnakeCase(activity.Value)
	}
	if f.Required == nil {
		f.Required = []string{"email"}
	}
	if f.Redirect != "" {
		r.address(spec.Redirect)
	}
	for _, a := range spec.Allow {
		if u := r.address(a); u != nil {
			f.allow = append(f.allow, u)
		}
	}
	for theirs, ours := range spec.Fields {
		f.Fields[normal.SnakeCase(theirs)] = ours.Value
	}
	for i, c := range spec.Consents {
		r.consent(c)
		f.Consents[i].Purpose.Value = normal.SnakeCase(c.Purpose.Value)
	}
	return f
}

func (r *reader) consent(c ConsentSpec) {
	if c.Field.Value == "" || c.Purpose.Value == "" || c.Text.Value == "" {
		at := cmp.Or(c.Field, c.Purpose, c.Text)
		r.fail(at, "a consent needs field, purpose and text: the exact words are the proof")
	}
}
