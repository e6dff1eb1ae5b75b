// Package typeform reads the webhooks of Typeform. Pure.
package typeform

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// header carries the signature.
const header = "Typeform-Signature"

// Dialect is kind typeform.
type Dialect struct{}

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string {
	return map[string]string{hook.OptionActivity: "what sending the form means; default form_submitted"}
}

// Verify checks the signature over the body.
func (Dialect) Verify(req hook.Request, src *source.Source) error {
	return hook.CheckHMAC(src, header, strings.TrimPrefix(req.Header.Get(header), "sha256="), hook.Base64, req.Body)
}

// Read makes a lead of a form that was sent; one that was only begun is not.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	body, err := hook.ParseObject(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	form := body.At("form_response")
	switch kind := body.Text("event_type"); {
	case kind != "form_response":
		return hook.Reading{Items: []hook.Item{{ID: body.Text("event_id"), Ignored: hook.IgnoredKind}}}, nil
	case form.Object() == nil:
		return hook.Reading{}, fmt.Errorf("expected an object form_response")
	}
	id := cmp.Or(form.Text("token"), body.Text("event_id"))
	if id == "" {
		return hook.Reading{Items: []hook.Item{{Faults: hook.Fault("form_response.token", "is missing; it numbers the answers")}}}, nil
	}
	at := form.Time("submitted_at")
	if at.IsZero() {
		at = form.Time("landed_at")
	}
	l := hook.NewLead(src, "form_submitted", at)
	l.Property("form_id", form.Text("form_id"))
	l.Property("form", form.Text("definition.title"))
	l.Property("score", form.Text("calculated.score"))
	answers(l, form)
	hidden := form.At("hidden").Object()
	for _, name := range slices.Sorted(maps.Keys(hidden)) {
		l.Tell(name, hidden[name].Text(""))
	}
	return hook.Reading{Items: []hook.Item{l.Item(id)}}, nil
}

// answers enters what was answered. The ref of a question is the only name that
// stays when somebody edits the form; what the fields do not map is known by its
// type, or by the title of its question.
func answers(l *hook.Lead, form hook.Tree) {
	titles := map[string]string{}
	for _, f := range form.At("definition.fields").List() {
		titles[f.Text("ref")] = f.Text("title")
	}
	for _, a := range form.At("answers").List() {
		ref, kind := a.Text("field.ref"), a.Text("type")
		switch {
		case l.Mapped(ref):
			l.Tell(ref, value(a))
		case kind == "email":
			l.Enter("email", value(a))
		case kind == "phone_number":
			l.Enter("phone", value(a))
		default:
			l.Tell(cmp.Or(titles[ref], ref, a.Text("field.id")), value(a))
		}
	}
}

// value is an answer as text; it lies under a key that its type names.
func value(a hook.Tree) string {
	v := a.At(a.Text("type"))
	if v.Plain() {
		return v.Text("")
	}
	words := []string{}
	for _, label := range v.At("labels").List() {
		words = append(words, label.Text(""))
	}
	for _, one := range [...]string{v.Text("label"), v.Text("other")} {
		if one != "" {
			words = append(words, one)
		}
	}
	return strings.Join(words, ", ")
}
