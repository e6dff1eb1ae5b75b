package source

import (
	"cmp"
	"strings"

	"github.com/nurturehq/nurture/pkg/config"

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
		Token:    spec.Token,
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
	f.OrgIDs, f.Show = r.orgIDs(spec.OrgIDs), r.show(spec.Show)
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

// orgIDs reads ids of organisations: 15 characters, or 18 of which the last
// three only repeat the others.
func (r *reader) orgIDs(texts []config.Text) []string {
	ids := make([]string, 0, len(texts))
	for _, t := range texts {
		if !strings.HasPrefix(t.Value, "00D") || len(t.Value) != 15 && len(t.Value) != 18 {
			r.fail(t, "expected the id of a Salesforce organisation, 00D and 12 or 15 more characters, found %q", t.Value)
			continue
		}
		ids = append(ids, t.Value[:15])
	}
	return ids
}

func (r *reader) show(texts []config.Text) []string {
	if len(texts) == 0 {
		return []string{"first_name", "last_name", "email", "company"}
	}
	names := make([]string, 0, len(texts))
	for _, t := range texts {
		name := normal.SnakeCase(t.Value)
		if name == "" {
			r.fail(t, "expected the name of a field, like first_name, found %q", t.Value)
		}
		names = append(names, name)
	}
	return names
}
