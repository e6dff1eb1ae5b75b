package consent

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/config"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// File is consent.yaml.
type File struct {
	Purposes      map[string]PurposeSpec      `yaml:"purposes" help:"what people are asked for, by id"`
	Jurisdictions map[string]JurisdictionSpec `yaml:"jurisdictions" help:"what the law says where a lead lives"`
	Default       config.Text                 `yaml:"default" help:"jurisdiction of leads whose country is not known or not listed"`
	Confirmation  ConfirmationSpec            `yaml:"confirmation" help:"the mail of a double opt-in"`
}

// PurposeSpec is one purpose as it is written.
type PurposeSpec struct {
	Title       config.Text `yaml:"title" help:"as people read it on the preference page"`
	Description string      `yaml:"description" help:"what they get when they say yes"`
	Channel     config.Text `yaml:"channel" help:"email, phone, sms or post; default email"`
	Basis       config.Text `yaml:"basis" help:"opt_in: asked everywhere, whatever the jurisdiction says"`
	DoubleOptIn config.Text `yaml:"double_opt_in" help:"always, never or by_jurisdiction (default)"`
}

// JurisdictionSpec is one jurisdiction as it is written.
type JurisdictionSpec struct {
	Countries   []config.Text `yaml:"countries" help:"ISO 3166-1 codes, like DE"`
	Basis       config.Text   `yaml:"basis" help:"opt_in, opt_out or legitimate_interest: what holds while nobody has answered"`
	DoubleOptIn bool          `yaml:"double_opt_in" help:"a yes counts only when it is confirmed from the mailbox"`
}

// ConfirmationSpec is about the mail of a double opt-in.
type ConfirmationSpec struct {
	Expires  time.Duration `yaml:"expires" help:"how long its link can be used; default 7d"`
	AskAgain time.Duration `yaml:"ask_again" help:"shortest time between two such mails to a lead; default 10m"`
}

// Builtin is the policy of who has no consent.yaml: nothing without a yes.
const Builtin = "default: everywhere\njurisdictions:\n  everywhere:\n    basis: opt_in\n"

// Parse reads consent.yaml. Its errors name line, column and what was expected.
func Parse(file string, raw []byte) (*Policy, error) {
	var f File
	if err := config.DecodeYAML(file, raw, &f); err != nil {
		return nil, err
	}
	r := &reader{file: file}
	sum := sha256.Sum256(raw)
	p := &Policy{
		Version: hex.EncodeToString(sum[:12]), Raw: raw, countries: map[string]jurisdiction{},
		Expires:  cmp.Or(f.Confirmation.Expires, 7*24*time.Hour),
		AskAgain: cmp.Or(f.Confirmation.AskAgain, 10*time.Minute),
	}
	if p.Expires < 0 || p.AskAgain < 0 {
		r.fail(config.Text{}, "confirmation: expires and ask_again are durations above zero, like 7d and 10m")
	}
	for _, id := range slices.Sorted(maps.Keys(f.Purposes)) {
		p.purposes = append(p.purposes, r.purpose(id, f.Purposes[id]))
	}
	r.jurisdictions(p, f)
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// reader turns what is written into what is used, collecting errors.
type reader struct {
	file string
	errs []error
}

func (r *reader) fail(at config.Text, format string, args ...any) {
	r.errs = append(r.errs, config.Errorf(r.file, at.Line, at.Column, format, args...))
}

func (r *reader) purpose(id string, spec PurposeSpec) Purpose {
	if id == "" || len(id) > 64 || normal.SnakeCase(id) != id {
		r.fail(spec.Title, "purpose %q: expected an id in small letters, digits and _, like marketing_email", id)
	}
	if spec.Title.Value == "" {
		r.fail(spec.Title, "purpose %s has no title: expected the words people read on the preference page", id)
	}
	p := Purpose{ID: id, Title: spec.Title.Value, Description: strings.TrimSpace(spec.Description)}
	p.Channel = r.one(spec.Channel, "channel", ChannelEmail, "phone", "sms", "post")
	p.basis = Basis(r.one(spec.Basis, "basis", "", string(OptIn)))
	p.doubleOptIn = r.one(spec.DoubleOptIn, "double_opt_in", byJurisdiction, always, never)
	return p
}

// one takes a word that must be one of a few; the first is the default.
func (r *reader) one(t config.Text, name string, words ...string) string {
	if t.Value == "" {
		return words[0]
	}
	if !slices.Contains(words, t.Value) {
		known := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
		r.fail(t, "%s %q: expected %s", name, t.Value, strings.Join(known, " or "))
	}
	return t.Value
}

func (r *reader) jurisdictions(p *Policy, f File) {
	taken := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(f.Jurisdictions)) {
		spec := f.Jurisdictions[name]
		if spec.Basis.Value == "" {
			r.fail(spec.Basis, "jurisdiction %s has no basis: expected opt_in, opt_out or legitimate_interest", name)
		}
		j := jurisdiction{doubleOptIn: spec.DoubleOptIn}
		j.basis = Basis(r.one(spec.Basis, "basis", string(OptIn), string(OptOut), string(LegitimateInterest)))
		for _, c := range spec.Countries {
			code, err := normal.Country(c.Value)
			switch {
			case err != nil:
				r.fail(c, "country %q %v", c.Value, err)
			case taken[code] != "":
				r.fail(c, "country %s is in %s and in %s: a lead lives in one jurisdiction", code, taken[code], name)
			default:
				taken[code], p.countries[code] = name, j
			}
		}
		if name == f.Default.Value {
			p.otherwise = j
		}
	}
	if _, ok := f.Jurisdictions[f.Default.Value]; !ok {
		r.fail(f.Default, "default %q: expected one of the jurisdictions below, for leads whose country is not known", f.Default.Value)
	}
}
