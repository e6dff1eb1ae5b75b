package source

import (
	"maps"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/pkg/config"
)

// Kind is what a dialect of webhooks wants to be told in sources.yaml.
type Kind struct {
	// Secret: at least one secret is needed, for without it nobody could tell a
	// sender from a stranger.
	Secret bool
	// Chosen: the secret is ours to choose; others' senders show theirs. Standard:
	// it signs Standard Webhooks, whose libraries want theirs in base64.
	Chosen, Standard bool
	// Options and Credentials are the names that may be set. One that ends in a
	// dot stands for all that begin with it.
	Options, Credentials []string
	// Needs are those of them without which nothing of the sender could be used.
	Needs []string
}

// Kinds are all dialects of webhooks by name. Whoever adds a dialect says here
// what it can be told, so that a mistake is found when the file is read.
func Kinds() map[string]Kind {
	return map[string]Kind{
		"google_ads":  {Secret: true, Chosen: true, Options: []string{"activity"}},
		"meta":        {Secret: true, Options: []string{"activity", "api_version", "base_url"}, Credentials: []string{"access_token", "verify_token"}, Needs: []string{"access_token", "verify_token"}},
		"linkedin":    {Secret: true, Options: []string{"activity", "api_version", "base_url"}, Credentials: []string{"access_token"}, Needs: []string{"access_token"}},
		"typeform":    {Secret: true, Chosen: true, Options: []string{"activity"}},
		"hubspot":     {Secret: true, Options: []string{"activity", "base_url"}, Credentials: []string{"access_token"}},
		"webhook":     {Secret: true, Chosen: true, Standard: true, Options: []string{"activity", "activity.", "items", "type"}},
		"cloudevents": {Secret: true, Chosen: true, Standard: true, Options: []string{"activity", "activity.", "subject"}},
		"crm":         {Secret: true, Chosen: true, Standard: true, Options: []string{"accepted", "deleted", "ignored", "items", "lost", "qualified", "reason.", "rejected", "won", "words"}},
		"sendgrid":    {Secret: true, Options: []string{"soft_bounces", "opens_and_clicks"}},
		"ses":         {Options: []string{"topic_arn", "soft_bounces", "opens_and_clicks"}, Needs: []string{"topic_arn"}},
		"postmark":    {Secret: true, Chosen: true, Options: []string{"soft_bounces", "opens_and_clicks"}},
		"mailgun":     {Secret: true, Options: []string{"soft_bounces", "opens_and_clicks"}},
		"resend":      {Secret: true, Options: []string{"soft_bounces", "opens_and_clicks"}},
	}
}

// kind checks what the file says about a source's webhooks against its dialect.
func (r *reader) kind(name string, spec Spec) {
	told := spec.Kind.Value
	if told == "" {
		r.noDialect(name, spec)
		return
	}
	k, ok := Kinds()[told]
	if !ok {
		r.fail(spec.Kind, "kind %q is not known; expected one of %s", told, strings.Join(slices.Sorted(maps.Keys(Kinds())), ", "))
		return
	}
	if k.Secret && len(spec.Secrets) == 0 {
		r.fail(spec.Kind, "source %s needs secrets: [{env: NAME}] or [{file: path}], or nobody could tell its webhooks from forged ones", name)
	}
	for _, need := range k.Needs {
		_, credential := spec.Credentials[need]
		switch {
		case slices.Contains(k.Credentials, need) && !credential:
			r.fail(spec.Kind, "source %s needs credentials: {%s: {env: NAME}} or {file: path}", name, need)
		case slices.Contains(k.Options, need) && spec.Options[need].Value == "":
			r.fail(spec.Kind, "source %s needs options: {%s: ...}", name, need)
		}
	}
	for option, at := range spec.Options {
		r.known(at, "option", option, k.Options)
	}
	for credential, at := range spec.Credentials {
		r.known(at.place(), "credential", credential, k.Credentials)
	}
}

func (r *reader) known(at config.Text, what, name string, known []string) {
	switch {
	case slices.Contains(known, name), slices.ContainsFunc(known, func(k string) bool {
		return strings.HasSuffix(k, ".") && strings.HasPrefix(name, k)
	}):
	case len(known) == 0:
		r.fail(at, "unknown %s %q: this kind has none", what, name)
	default:
		r.fail(at, "unknown %s %q; expected one of %s", what, name, strings.Join(known, ", "))
	}
}

// noDialect refuses what only webhooks have.
func (r *reader) noDialect(name string, spec Spec) {
	for _, s := range spec.Secrets {
		r.fail(s.place(), "source %s has secrets but no kind: whose webhooks are they?", name)
	}
	for _, at := range spec.Options {
		r.fail(at, "source %s has options but no kind", name)
	}
	for _, s := range spec.Credentials {
		r.fail(s.place(), "source %s has credentials but no kind", name)
	}
}
