// Package meta reads the webhooks of Meta's lead ads, which tell only ids, and
// asks the Graph API for the leads. Pure.
package meta

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// header carries the signature.
const header = "X-Hub-Signature-256"

// defaultVersion of the Graph API.
const defaultVersion = "v24.0"

// Dialect is kind meta.
type Dialect struct{}

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string {
	return map[string]string{
		hook.OptionActivity: "what sending the form means; default form_submitted",
		"api_version":       "version of the Graph API; default " + defaultVersion,
		hook.OptionBase:     "where the Graph API is; default https://graph.facebook.com",
	}
}

// Greet answers Meta's question, if it knows the verify token.
func (Dialect) Greet(req hook.Request, src *source.Source) (*hook.Answer, error) {
	token, want := req.Query.Get("hub.verify_token"), src.Credentials["verify_token"]
	switch {
	case req.Query.Get("hub.mode") != "subscribe" || token == "":
		return nil, fmt.Errorf("%w: expected hub.mode=subscribe and hub.verify_token", hook.ErrUnsigned)
	case want == "" || !hook.Same(token, want):
		return nil, fmt.Errorf("%w: hub.verify_token is not the credential verify_token of source %s", hook.ErrForged, src.Name)
	}
	return &hook.Answer{ContentType: "text/plain; charset=utf-8", Body: []byte(req.Query.Get("hub.challenge"))}, nil
}

// Verify checks the signature over the body.
func (Dialect) Verify(req hook.Request, src *source.Source) error {
	return hook.CheckHMAC(src, header, strings.TrimPrefix(req.Header.Get(header), "sha256="), hook.Hex, req.Body)
}

// Read gives what is to be fetched: every change of every entry.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	body, err := hook.ParseObject(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	if !body.At("entry").IsList() {
		return hook.Reading{}, fmt.Errorf("expected a list entry, as in {\"object\":\"page\",\"entry\":[...]}")
	}
	var out hook.Reading
	for _, entry := range body.At("entry").List() {
		for _, change := range entry.At("changes").List() {
			out.Items = append(out.Items, read(change, req, src))
		}
	}
	return out, nil
}

func read(change hook.Tree, req hook.Request, src *source.Source) hook.Item {
	if change.Text("field") != "leadgen" {
		return hook.Item{Ignored: hook.IgnoredKind}
	}
	value := change.At("value")
	id := value.Text("leadgen_id")
	if id == "" {
		return hook.Item{Faults: hook.Fault("leadgen_id", "is missing; without it the lead cannot be fetched")}
	}
	facts := map[string]string{}
	for _, name := range [...]string{"form_id", "page_id", "ad_id", "adgroup_id"} {
		if v := value.Text(name); v != "" {
			facts[name] = v
		}
	}
	return hook.Item{ID: id, Fetch: &hook.Fetch{
		Source: src.Name, Id: id, Kind: "lead", Ref: id, Facts: facts,
		OccurredAt: hook.Stamp(value.Time("created_time")), ReceivedAt: timestamppb.New(req.Received),
	}}
}

// Base is where the Graph API is.
func (Dialect) Base() string { return "https://graph.facebook.com" }

// Ask gives the question for a lead.
func (Dialect) Ask(f *hook.Fetch, src *source.Source) ([]hook.Question, error) {
	return []hook.Question{{
		Path:       "/" + cmp.Or(src.Options["api_version"], defaultVersion) + "/" + url.PathEscape(f.GetRef()),
		Query:      url.Values{"fields": {"created_time,field_data,form_id,ad_id,ad_name,adset_id,campaign_id,campaign_name,platform"}},
		TokenParam: "access_token",
	}}, nil
}

// Resolve makes a lead of what the Graph API says.
func (Dialect) Resolve(f *hook.Fetch, answers [][]byte, src *source.Source) (hook.Item, error) {
	body, err := hook.ParseObject(answers[0])
	if err != nil {
		return hook.Item{}, err
	}
	if !body.At("field_data").IsList() {
		return hook.Item{}, fmt.Errorf("the Graph API's answer has no list field_data; does the page token have the permission leads_retrieval?")
	}
	at := body.Time("created_time")
	if at.IsZero() && f.GetOccurredAt() != nil {
		at = f.GetOccurredAt().AsTime()
	}
	l := hook.NewLead(src, "form_submitted", at)
	for _, field := range body.At("field_data").List() {
		value := values(field)
		if strings.HasPrefix(value, "<test lead:") { // what Meta's testing tool fills forms with
			return hook.Item{ID: f.GetId(), Ignored: hook.IgnoredTest}, nil
		}
		l.Tell(field.Text("name"), value)
	}
	attribute(l, f, body)
	return l.Item(f.GetId()), nil
}

func values(field hook.Tree) string {
	var words []string
	for _, v := range field.At("values").List() {
		words = append(words, v.Text(""))
	}
	return strings.Join(words, ", ")
}

func attribute(l *hook.Lead, f *hook.Fetch, body hook.Tree) {
	l.Tag("utm_source", cmp.Or(platform(body.Text("platform")), "facebook"))
	l.Tag("utm_medium", "paid_social")
	l.Tag("utm_campaign", cmp.Or(body.Text("campaign_name"), body.Text("campaign_id")))
	l.Tag("utm_content", body.Text("ad_name"))
	for name, value := range f.GetFacts() {
		l.Property(name, value)
	}
	for _, name := range [...]string{"form_id", "ad_id", "adset_id", "campaign_id"} {
		l.Property(name, body.Text(name))
	}
}

func platform(short string) string {
	switch short {
	case "fb":
		return "facebook"
	case "ig":
		return "instagram"
	}
	return short
}

// Judge reads Meta's error: most of them are answered 400, whatever they mean.
func (Dialect) Judge(status int, raw []byte) hook.Verdict {
	body, err := hook.ParseObject(raw)
	code := body.Text("error.code")
	if err != nil || code == "" {
		return hook.JudgeStatus(status)
	}
	reason := "the Graph API answered " + code + " " + body.Text("error.type")
	switch code {
	case "190", "102", "10", "200", "104":
		return hook.Verdict{Token: true, Reason: reason + ": mend the credential access_token of the source"}
	case "1", "2", "4", "17", "32", "341", "613", "80004", "80005":
		return hook.Verdict{Again: true, Reason: reason}
	}
	if body.Text("error.is_transient") == "true" || status >= 500 {
		return hook.Verdict{Again: true, Reason: reason}
	}
	return hook.Verdict{Reason: reason}
}
