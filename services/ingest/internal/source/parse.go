package source

import (
	"cmp"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/pkg/config"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// Parse reads sources.yaml and, by read, the secrets it names; a nil read
// leaves them out. Its errors name line, column and what was expected.
func Parse(file string, raw []byte, read Secrets) (*Set, error) {
	var f File
	if err := config.DecodeYAML(file, raw, &f); err != nil {
		return nil, err
	}
	set := &Set{byName: map[string]*Source{}}
	r := &reader{file: file, read: read}
	usual := r.limits("(all)", f.Limits, DefaultLimits())
	for _, name := range slices.Sorted(maps.Keys(f.Sources)) {
		src := r.source(name, f.Sources[name], usual)
		set.byName[name] = src
		r.own(set, src)
	}
	if len(r.errs) == 0 && len(f.Sources) == 0 {
		return nil, config.Errorf(file, 0, 0, "expected at least one source under sources:")
	}
	slices.SortFunc(r.errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return set, errors.Join(r.errs...)
}

// own adds a source's keys to those of the set: a key opens one source.
func (r *reader) own(set *Set, src *Source) {
	for _, k := range src.Keys {
		for _, other := range set.keys {
			if other.sum == k.sum && other.source != src {
				r.fail(k.at, "sources %s and %s have the same key: expected one of its own for each", min(src.Name, other.source.Name), max(src.Name, other.source.Name))
			}
		}
		set.keys = append(set.keys, key{sum: k.sum, source: src})
	}
}

// reader turns what is written into what is used, collecting errors.
type reader struct {
	file string
	read Secrets
	errs []error
}

func (r *reader) fail(at config.Text, format string, args ...any) {
	r.errs = append(r.errs, config.Errorf(r.file, at.Line, at.Column, format, args...))
}

func (r *reader) source(name string, spec Spec, usual Limits) *Source {
	s := &Source{
		Name: name, Title: cmp.Or(spec.Title, name), Kind: spec.Kind.Value,
		Keys: r.keys(name, spec.Keys), Secrets: r.secrets(name, spec.Secrets), Credentials: r.credentials(spec.Credentials),
		Options: texts(spec.Options), Fields: r.fields(spec.Fields),
		Consent: r.ground(name, spec.Consent), Limits: r.limits(name, spec.Limits, usual),
	}
	if !validName(name) {
		r.fail(config.Text{}, "source %q: expected a name of lower-case letters, digits, - and _, at most 63", name)
	}
	r.kind(name, spec)
	if spec.Country.Value != "" {
		var err error
		if s.Country, err = normal.Country(spec.Country.Value); err != nil {
			r.fail(spec.Country, "country %q %v", spec.Country.Value, err)
		}
	}
	for _, o := range spec.Origins {
		if u := r.address(o); u != nil {
			s.origins = append(s.origins, strings.ToLower(u.Scheme+"://"+u.Host))
		}
	}
	if spec.Form != nil {
		s.Form = r.form(name, spec.Form)
		for theirs, ours := range s.Fields {
			s.Form.Fields[theirs] = cmp.Or(s.Form.Fields[theirs], ours)
		}
	}
	return s
}

// ground reads on what grounds a source's leads may be contacted.
func (r *reader) ground(name string, spec *ConsentBasis) *Consent {
	if spec == nil {
		return nil
	}
	c := &Consent{
		Purpose: normal.SnakeCase(spec.Purpose.Value), Basis: cmp.Or(spec.Basis.Value, "consent"),
		Text: spec.Text.Value, Version: spec.Version,
	}
	switch {
	case c.Purpose == "":
		r.fail(spec.Text, "source %s: a consent needs a purpose, like marketing_email", name)
	case c.Basis == "consent" && c.Text == "":
		r.fail(spec.Purpose, "source %s: a consent needs text: the exact words the person saw are the proof", name)
	case c.Basis != "consent" && c.Basis != "legitimate_interest" && c.Basis != "contract":
		r.fail(spec.Basis, "basis %q is not known; expected consent, legitimate_interest or contract", c.Basis)
	}
	return c
}

// fields reads what a sender's names mean here.
func (r *reader) fields(specs map[string]config.Text) map[string]string {
	fields := make(map[string]string, len(specs))
	for theirs, ours := range specs {
		if ours.Value == "" {
			r.fail(ours, "field %q: expected what it means here, like email", theirs)
		}
		fields[normal.SnakeCase(theirs)] = ours.Value
		fields[theirs] = ours.Value // a path like contact.email is one only as it is written
	}
	return fields
}

func texts(specs map[string]config.Text) map[string]string {
	values := make(map[string]string, len(specs))
	for name, t := range specs {
		values[name] = t.Value
	}
	return values
}

func (r *reader) address(t config.Text) *url.URL {
	u, err := url.Parse(t.Value)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		r.fail(t, "expected an address like https://www.example.com/thanks, found %q", t.Value)
		return nil
	}
	return u
}

func validName(name string) bool {
	if name == "" || len(name) > 63 || name[0] == '-' || name[0] == '_' {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}
