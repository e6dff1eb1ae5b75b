package linkedin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// defaultVersion of the REST API, by month.
const defaultVersion = "202510"

// Base is where the REST API is.
func (Dialect) Base() string { return "https://api.linkedin.com/rest" }

// Ask gives the questions for a lead: its answers, and the form that says what
// was asked. The form may be beyond what the token may see.
func (Dialect) Ask(f *hook.Fetch, src *source.Source) ([]hook.Question, error) {
	h := http.Header{}
	h.Set("Linkedin-Version", cmp.Or(src.Options["api_version"], defaultVersion))
	h.Set("X-Restli-Protocol-Version", "2.0.0")
	response := f.GetRef()[strings.LastIndexByte(f.GetRef(), ':')+1:]
	if response == "" {
		return nil, fmt.Errorf("the URN %.100q has no id at its end", f.GetRef())
	}
	questions := []hook.Question{{Path: "/leadFormResponses/" + url.PathEscape(response), Header: h}}
	if form := formID(f.GetFacts()["form_id"]); form != "" {
		questions = append(questions, hook.Question{Path: "/leadForms/" + url.PathEscape(form), Header: h, Optional: true})
	}
	return questions, nil
}

// formID finds the number in urn:li:versionedLeadGenForm:(urn:li:leadGenForm:1,1).
func formID(urn string) string {
	_, id, ok := strings.Cut(urn, "urn:li:leadGenForm:")
	if !ok {
		return ""
	}
	if end := strings.IndexAny(id, ",)"); end >= 0 {
		id = id[:end]
	}
	return id
}

// Resolve makes a lead of what the REST API says.
func (Dialect) Resolve(f *hook.Fetch, answers [][]byte, src *source.Source) (hook.Item, error) {
	body, err := hook.ParseObject(answers[0])
	if err != nil {
		return hook.Item{}, err
	}
	if !body.At("formResponse.answers").IsList() {
		return hook.Item{}, fmt.Errorf("LinkedIn's answer has no list formResponse.answers")
	}
	if body.Text("testLead") == "true" {
		return hook.Item{ID: f.GetId(), Ignored: hook.IgnoredTest}, nil
	}
	names := map[string]string{}
	if len(answers) > 1 {
		names = asked(answers[1])
	}
	l := hook.NewLead(src, "form_submitted", when(body, f))
	for _, a := range body.At("formResponse.answers").List() {
		id := a.Text("questionId")
		name := names[id]
		if l.Mapped(id) || name == "" {
			name = id
		}
		if name == id && !l.Mapped(id) {
			name = "question_" + id
		}
		l.Tell(name, value(a.At("answerDetails")))
	}
	l.Tag("utm_source", "linkedin")
	l.Tag("utm_medium", "paid_social")
	for name, fact := range f.GetFacts() {
		l.Property(name, fact)
	}
	return l.ItemOf(f.GetRef(), f.GetId()), nil
}

func when(body hook.Tree, f *hook.Fetch) time.Time {
	if at := body.Time("submittedAt"); !at.IsZero() || f.GetOccurredAt() == nil {
		return at
	}
	return f.GetOccurredAt().AsTime()
}

// asked gives the questions of a form by id: by what LinkedIn knows they are,
// else by the name they were given.
func asked(raw []byte) map[string]string {
	names := map[string]string{}
	body, err := hook.ParseObject(raw)
	if err != nil {
		return names
	}
	for _, q := range body.At("content.questions").List() {
		names[q.Text("questionId")] = cmp.Or(q.Text("predefinedField"), q.Text("name"))
	}
	return names
}

func value(details hook.Tree) string {
	if v := details.Text("textQuestionAnswer.answer"); v != "" {
		return v
	}
	var words []string
	for _, o := range details.At("multipleChoiceAnswer.options").List() {
		words = append(words, cmp.Or(o.Text("value"), o.Text("")))
	}
	return strings.Join(words, ", ")
}

// Judge reads the status: LinkedIn means what it says.
func (Dialect) Judge(status int, _ []byte) hook.Verdict { return hook.JudgeStatus(status) }
