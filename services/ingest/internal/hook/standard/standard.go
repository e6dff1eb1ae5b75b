// Package standard reads webhooks that are signed as Standard Webhooks
// (standardwebhooks.com) and carry any JSON: the source's fields say what its
// paths mean. Pure.
package standard

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Headers of a signed call.
const (
	HeaderID        = "Webhook-Id"
	HeaderTime      = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// Options of a source of this kind.
const (
	// OptionItems is the path of a list in the body whose members are leads.
	OptionItems = "items"
	// OptionType is the path of the word that says what happened.
	OptionType = "type"
)

// Dialect is kind webhook.
type Dialect struct{}

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string {
	return map[string]string{
		hook.OptionActivity:       "what a message means when nothing else says so; default form_submitted",
		hook.OptionActivity + ".": "what messages of the type behind the dot mean, like activity.demo.booked: demo_requested",
		OptionItems:               "path of the list whose members are leads; default: the body itself",
		OptionType:                "path of the word that says what happened; default type",
	}
}

// Verify checks the signature of Standard Webhooks.
func (Dialect) Verify(req hook.Request, src *source.Source) error { return Verify(req, src) }

// Signed reports whether a call claims to be signed this way.
func Signed(req hook.Request) bool { return header(req, HeaderSignature) != "" }

// Verify checks the signature of Standard Webhooks: any of the signatures in the
// header, by any live secret, over id, time and body.
func Verify(req hook.Request, src *source.Source) error {
	id, at, sigs := header(req, HeaderID), header(req, HeaderTime), header(req, HeaderSignature)
	if id == "" || at == "" || sigs == "" {
		return fmt.Errorf("%w: expected the headers webhook-id, webhook-timestamp and webhook-signature", hook.ErrUnsigned)
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: webhook-timestamp is not in seconds since 1970", hook.ErrForged)
	}
	if err := hook.Fresh(time.Unix(seconds, 0), req.Received); err != nil {
		return err
	}
	return hook.Try(src, HeaderSignature, func(secret string) bool {
		want := Sign(secret, id, at, req.Body)
		fits := false
		for sig := range strings.FieldsSeq(sigs) {
			if hook.Same(sig, want) {
				fits = true
			}
		}
		return fits
	})
}

// header gives one of the three headers, or the same under its older prefix.
func header(req hook.Request, name string) string {
	if v := req.Header.Get(name); v != "" {
		return v
	}
	return req.Header.Get("Svix-" + strings.TrimPrefix(name, "Webhook-"))
}

// Sign gives the signature of a body. A secret that is not base64 is taken as
// it is.
func Sign(secret, id, at string, body []byte) string {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		key = []byte(secret)
	}
	return "v1," + hook.Base64(hook.HMAC(key, []byte(id), []byte("."), []byte(at), []byte("."), body))
}

// Read makes a lead of the body, or one of each member of its list.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	body, err := hook.Parse(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	id := header(req, HeaderID)
	root := body
	if path := src.Options[OptionItems]; path != "" {
		root = body.At(path)
	}
	members := root.List()
	switch {
	case !root.IsList() && root.Object() == nil:
		return hook.Reading{}, fmt.Errorf("expected an object or a list at %q", src.Options[OptionItems])
	case !root.IsList():
		return hook.Reading{Items: []hook.Item{Read(root, src, "form_submitted", id)}}, nil
	}
	out := hook.Reading{Items: make([]hook.Item, len(members))}
	for i, m := range members {
		out.Items[i] = Read(m, src, "form_submitted", id+"/"+strconv.Itoa(i))
	}
	return out, nil
}

// Read makes a lead of an object: what the fields map, and what is known by its
// name. activity is what it means when nothing says so.
func Read(t hook.Tree, src *source.Source, activity, id string) hook.Item {
	kind := t.Text(cmp.Or(src.Options[OptionType], "type"))
	l := hook.NewLead(src, activity, firstTime(t))
	if means := src.Options[hook.OptionActivity+"."+kind]; kind != "" && means != "" {
		l.Enter("activity", means)
	}
	l.Property("event_type", kind)
	Fill(l, t, src)
	return l.Item(id)
}

// Fill enters what an object tells. Paths that the fields name come last, so
// that they win over names that are only guessed.
func Fill(l *hook.Lead, t hook.Tree, src *source.Source) {
	plain := t
	if t.At("data").Object() != nil {
		plain = t.At("data")
	}
	members := plain.Object()
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if members[name].Plain() && !l.Mapped(name) && !housekeeping(name) && !says(t, src, name) {
			l.Tell(name, members[name].Text(""))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(src.Fields)) {
		l.Enter(src.Fields[path], text(t, plain, path))
	}
}

// housekeeping are members that belong to the message, not to the person.
func housekeeping(name string) bool {
	switch name {
	case "type", "timestamp", "id", "created_at", "specversion", "object":
		return true
	}
	return false
}

// says reports whether a member is the word that says what happened: the options
// tell what it means, whatever it is called.
func says(t hook.Tree, src *source.Source, name string) bool {
	return name == src.Options[OptionType] && t.At(name).Known("")
}

// text gives the value at a path, of the whole or of its data; a list of plain
// values in one line.
func text(t, data hook.Tree, path string) string {
	v := t.At(path)
	if !v.Known("") {
		v = data.At(path)
	}
	if !v.IsList() {
		return v.Text("")
	}
	words := make([]string, 0, len(v.List()))
	for _, m := range v.List() {
		if w := m.Text(""); w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, ", ")
}

func firstTime(t hook.Tree) time.Time {
	for _, path := range [...]string{"timestamp", "occurred_at", "created_at", "data.created_at"} {
		if at := t.Time(path); !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}

// VerifyAny is Verify, or for senders that cannot sign: a live secret as bearer
// token.
func VerifyAny(req hook.Request, src *source.Source) error {
	token := hook.Bearer(req)
	if Signed(req) || token == "" {
		return Verify(req, src)
	}
	return hook.Try(src, "Authorization", func(secret string) bool { return hook.Same(secret, token) })
}
