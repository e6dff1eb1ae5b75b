// Package source is what sources.yaml says: who may tell us about leads, under
// which keys, and how their forms are to be read. Pure.
package source

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/pkg/config"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// File is sources.yaml.
type File struct {
	Sources map[string]Spec `yaml:"sources" help:"by name; the name is part of the form's address"`
}

// Spec is one source as it is written.
type Spec struct {
	Title   string        `yaml:"title" help:"shown to people"`
	Keys    []config.Text `yaml:"keys" help:"write keys as sha256:<hex>, at most two at a time"`
	Country config.Text   `yaml:"country" help:"where phone numbers without country code are dialled"`
	Origins []config.Text `yaml:"origins" help:"pages whose browsers may send, like https://www.example.com; empty: any"`
	Form    *FormSpec     `yaml:"form" help:"how POST /v1/forms/<name> is read; absent: no form"`
}

// FormSpec is how a source's form is read.
type FormSpec struct {
	Name     string                 `yaml:"name" help:"kept with the activity; default: the source's name"`
	Activity config.Text            `yaml:"activity" help:"what sending it means, like demo_requested; default form_submitted"`
	Named    map[string]config.Text `yaml:"activities" help:"what sending the forms of these names means; a form names itself in its field form"`
	Redirect config.Text            `yaml:"redirect" help:"page a browser is sent to afterwards"`
	Allow    []config.Text          `yaml:"allow_redirects" help:"beginnings of addresses that a form may ask to be sent to"`
	Honeypot string                 `yaml:"honeypot" help:"field that people do not see; whoever fills it is a machine; default _gotcha"`
	Required []string               `yaml:"required" help:"fields that must be filled; default email"`
	Fields   map[string]config.Text `yaml:"fields" help:"its field names and what they mean here, like mail: email"`
	Consents []ConsentSpec          `yaml:"consents" help:"its checkboxes"`
}

// ConsentSpec is a checkbox of a form.
type ConsentSpec struct {
	Field   config.Text `yaml:"field" help:"name of the checkbox"`
	Purpose config.Text `yaml:"purpose" help:"what is allowed by ticking it, like marketing_email"`
	Text    config.Text `yaml:"text" help:"the exact words beside it"`
	Version string      `yaml:"version" help:"version of the words"`
}

// maxKeys lets a new key in before the old one goes.
const maxKeys = 2

// Source is one source, ready for use.
type Source struct {
	Name    string
	Title   string
	Country string
	Form    *Form
	origins []string
}

// Form is how a source's form is read.
type Form struct {
	Name, Activity, Redirect, Honeypot string
	Required                           []string
	Fields                             map[string]string
	Consents                           []ConsentSpec
	// named are the activities of forms that name themselves.
	named map[string]string
	allow []*url.URL
}

// Set is all sources.
type Set struct {
	byName map[string]*Source
	keys   []key
}

type key struct {
	sum    [sha256.Size]byte
	source *Source
}

// Parse reads sources.yaml. Its errors name line, column and what was expected.
func Parse(file string, raw []byte) (*Set, error) {
	var f File
	if err := config.DecodeYAML(file, raw, &f); err != nil {
		return nil, err
	}
	set := &Set{byName: map[string]*Source{}}
	r := &reader{file: file}
	for name, spec := range f.Sources {
		set.byName[name] = r.source(name, spec)
		for _, k := range r.keys(name, spec.Keys) {
			set.keys = append(set.keys, key{sum: k, source: set.byName[name]})
		}
	}
	if len(r.errs) == 0 && len(f.Sources) == 0 {
		return nil, config.Errorf(file, 0, 0, "expected at least one source under sources:")
	}
	slices.SortFunc(r.errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return set, errors.Join(r.errs...)
}

// Named gives a source by its name.
func (s *Set) Named(name string) (*Source, bool) {
	src, ok := s.byName[name]
	return src, ok
}

// Keyed gives the source of a write key. All keys are compared, in constant
// time, whichever fits.
func (s *Set) Keyed(writeKey string) (*Source, bool) {
	sum := sha256.Sum256([]byte(writeKey))
	var found *Source
	for i := range s.keys {
		if subtle.ConstantTimeCompare(sum[:], s.keys[i].sum[:]) == 1 {
			found = s.keys[i].source
		}
	}
	return found, found != nil
}

// Admits reports whether a page of this origin may send; an empty origin is no
// browser and may.
func (s *Source) Admits(origin string) bool {
	return origin == "" || len(s.origins) == 0 || slices.Contains(s.origins, strings.ToLower(origin))
}

// Means gives the name and the activity of a form that names itself; an empty
// name is the source's only form.
func (f *Form) Means(name string) (form, activity string) {
	if name = normal.SnakeCase(name); name == "" {
		return f.Name, f.Activity
	}
	return name, cmp.Or(f.named[name], f.Activity)
}

// Target gives where a browser goes after the form: where it asks to, if that
// is allowed, else the form's default. Empty when there is neither.
func (f *Form) Target(asked string) (target string, refused bool) {
	if asked == "" {
		return f.Redirect, false
	}
	if !f.allows(asked) {
		return f.Redirect, true
	}
	return asked, false
}

// allows compares what browsers would compare: scheme, host with port, and
// whole segments of the path. Anything a browser could read in another way,
// like a back slash or user information, is refused.
func (f *Form) allows(asked string) bool {
	if strings.ContainsFunc(asked, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return false
	}
	u, err := url.Parse(asked)
	if err != nil || u.User != nil || u.Opaque != "" || strings.Contains(u.Path, "..") {
		return false
	}
	for _, a := range f.allow {
		path := strings.TrimSuffix(a.Path, "/")
		if u.Scheme == a.Scheme && strings.EqualFold(u.Host, a.Host) &&
			(u.Path == path || strings.HasPrefix(u.Path, path+"/")) {
			return true
		}
	}
	return false
}

// reader turns what is written into what is used, collecting errors.
type reader struct {
	file string
	errs []error
}

func (r *reader) fail(at config.Text, format string, args ...any) {
	r.errs = append(r.errs, config.Errorf(r.file, at.Line, at.Column, format, args...))
}

func (r *reader) source(name string, spec Spec) *Source {
	s := &Source{Name: name, Title: cmp.Or(spec.Title, name)}
	if !validName(name) {
		r.fail(config.Text{}, "source %q: expected a name of lower-case letters, digits, - and _, at most 63", name)
	}
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
	}
	return s
}

func (r *reader) keys(name string, texts []config.Text) [][sha256.Size]byte {
	if len(texts) > maxKeys {
		r.fail(texts[maxKeys], "source %s has %d keys: expected at most %d, the one in use and the one to come", name, len(texts), maxKeys)
	}
	sums := make([][sha256.Size]byte, 0, len(texts))
	for _, t := range texts {
		digits, ok := strings.CutPrefix(t.Value, "sha256:")
		sum, err := hex.DecodeString(digits)
		if !ok || err != nil || len(sum) != sha256.Size {
			r.fail(t, "expected a key as sha256:<64 hex digits>, the output of: printf %%s \"$KEY\" | sha256sum")
			continue
		}
		sums = append(sums, [sha256.Size]byte(sum))
	}
	return sums
}

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
