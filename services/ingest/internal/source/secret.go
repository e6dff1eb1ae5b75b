package source

import (
	"cmp"

	"github.com/nurturehq/nurture/pkg/config"
)

// Ref says where a secret is kept: a variable of the environment, or a file,
// relative to the one that names it. Exactly one of the two is set.
type Ref struct{ Env, File string }

// Secrets reads a secret. Its error becomes part of the file's errors, so it
// must not contain the secret.
type Secrets func(Ref) (string, error)

func (s SecretSpec) place() config.Text {
	if s.Env.Line > 0 {
		return s.Env
	}
	return s.File
}

// secrets reads the secrets of a source's signature.
func (r *reader) secrets(name string, specs []SecretSpec) []string {
	if len(specs) > maxKeys {
		r.fail(specs[maxKeys].place(), "source %s has %d secrets: expected at most %d, the new one and the one to go", name, len(specs), maxKeys)
	}
	var values []string
	for _, s := range specs {
		if v := r.secret(s); v != "" {
			values = append(values, v)
		}
	}
	return values
}

func (r *reader) credentials(specs map[string]SecretSpec) map[string]string {
	values := make(map[string]string, len(specs))
	for name, s := range specs {
		if v := r.secret(s); v != "" {
			values[name] = v
		}
	}
	return values
}

// secret reads one; empty when it cannot be had or nobody reads them now.
func (r *reader) secret(s SecretSpec) string {
	if (s.Env.Value == "") == (s.File.Value == "") {
		r.fail(s.place(), "a secret is kept in one place: expected {env: NAME} or {file: path}")
		return ""
	}
	if r.read == nil {
		return ""
	}
	v, err := r.read(Ref{Env: s.Env.Value, File: s.File.Value})
	if err != nil {
		r.fail(s.place(), "%v", err)
		return ""
	}
	if v == "" {
		r.fail(s.place(), "the secret in %s is empty", cmp.Or(s.Env.Value, s.File.Value))
	}
	return v
}
