package source

import (
	"errors"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/nurturehq/nurture/pkg/config"
)

// File is sources.yaml.
type File struct {
	Limits  LimitsSpec      `yaml:"limits" help:"of every source that does not say otherwise"`
	Sources map[string]Spec `yaml:"sources" help:"by name; the name is part of the form's address"`
}

// Spec is one source as it is written.
type Spec struct {
	Title       string                 `yaml:"title" help:"shown to people"`
	Kind        config.Text            `yaml:"kind" help:"dialect of its webhooks, like typeform; absent: forms and tracking libraries"`
	Keys        []KeySpec              `yaml:"keys" help:"write keys as sha256:<hex>, at most two at a time"`
	Secrets     []SecretSpec           `yaml:"secrets" help:"secrets of the sender's signature, newest first, at most two at a time"`
	Credentials map[string]SecretSpec  `yaml:"credentials" help:"what we need to ask the sender something, by name"`
	Options     map[string]config.Text `yaml:"options" help:"settings of the dialect"`
	Fields      map[string]config.Text `yaml:"fields" help:"the sender's names and what they mean here, like mail: email"`
	Country     config.Text            `yaml:"country" help:"where phone numbers without country code are dialled"`
	Origins     []config.Text          `yaml:"origins" help:"pages whose browsers may send, like https://www.example.com; empty: any"`
	Consent     *ConsentBasis          `yaml:"consent" help:"on what grounds the people who come by this source may be written to"`
	Limits      LimitsSpec             `yaml:"limits" help:"how much it may send"`
	Form        *FormSpec              `yaml:"form" help:"how POST /v1/forms/<name> is read; absent: no form"`
}

// SecretSpec says where a secret is kept; the value itself is never in the file.
type SecretSpec struct {
	Env  config.Text `yaml:"env" help:"variable of the environment"`
	File config.Text `yaml:"file" help:"path, relative to sources.yaml"`
}

// ConsentBasis is the ground on which a source's leads may be contacted.
type ConsentBasis struct {
	Purpose config.Text `yaml:"purpose" help:"what for, like marketing_email"`
	Basis   config.Text `yaml:"basis" help:"consent, legitimate_interest or contract; default consent"`
	Text    config.Text `yaml:"text" help:"the exact words the person saw"`
	Version string      `yaml:"version" help:"version of the words"`
}

// LimitsSpec is how much a source may send; what is not said has its default.
type LimitsSpec struct {
	Rate        Amount `yaml:"events_per_second" help:"over time"`
	Burst       Amount `yaml:"burst" help:"events at once"`
	Visitor     Amount `yaml:"per_visitor_per_minute" help:"forms that one address of the internet may send"`
	VisitorOnce Amount `yaml:"visitor_burst" help:"forms that one address may send at once"`
	Share       Amount `yaml:"share" help:"part of ingest's capacity that it may hold at once, above 0, at most 1"`
	Rejects     Amount `yaml:"rejects_per_minute" help:"rejects that are kept; more are only counted"`
}

// Amount is a number above zero; zero when nothing is written.
type Amount float64

// UnmarshalYAML takes a number above zero.
func (a *Amount) UnmarshalYAML(n *yaml.Node) error {
	const most = 1e9
	f, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || !(f > 0 && f <= most) {
		return errors.New("expected a number above 0")
	}
	*a = Amount(f)
	return nil
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
	Token    bool                   `yaml:"token" help:"take only forms with a token of the snippet or of our own page; others wait for a person"`
	OrgIDs   []config.Text          `yaml:"org_ids" help:"Salesforce organisations (oid) whose Web-to-Lead forms come to this source"`
	Show     []config.Text          `yaml:"show" help:"fields of the page GET /v1/forms/<name>; default first_name, last_name, email, company"`
}

// ConsentSpec is a checkbox of a form.
type ConsentSpec struct {
	Field   config.Text `yaml:"field" help:"name of the checkbox"`
	Purpose config.Text `yaml:"purpose" help:"what is allowed by ticking it, like marketing_email"`
	Text    config.Text `yaml:"text" help:"the exact words beside it"`
	Version string      `yaml:"version" help:"version of the words"`
}
