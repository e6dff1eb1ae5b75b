package letter

import (
	"maps"
	"slices"

	"github.com/osteele/liquid"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Reader is who a letter is written to, and by whom.
type Reader struct {
	Profile *leadv1.Profile
	Sender  Sender
	// Program is the name of the program that writes.
	Program string
	// Links are the constants of the configuration, e.g. "site".
	Links map[string]string
	// UnsubscribeURL is where one click ends these mails.
	UnsubscribeURL string
	// PreferencesURL is the page on which the lead answers every purpose.
	PreferencesURL string
	// ConfirmURL is the page that confirms what waits, ConfirmWords what the person
	// agreed to. Empty when nothing waits.
	ConfirmURL, ConfirmWords string
}

// Sender is who signs the mails.
type Sender struct {
	Name, Email, Company string
	// Address is the postal address that the law wants in every such mail.
	Address string
}

// bindings are the variables of templates. A fresh map each time: assign writes into it.
func (r Reader) bindings() liquid.Bindings {
	p := r.Profile
	return liquid.Bindings{
		"lead": map[string]any{
			"email": p.GetEmail(), "phone": p.GetPhone(), "first_name": p.GetFirstName(), "last_name": p.GetLastName(),
			"company": p.GetCompany(), "company_domain": p.GetCompanyDomain(), "job_title": p.GetJobTitle(),
			"country": p.GetCountry(), "time_zone": p.GetTimeZone(), "website": p.GetWebsite(),
			"industry": p.GetIndustry(), "language": p.GetLanguage(), "employees": p.GetEmployees(),
			"attributes": p.GetAttributes(),
		},
		"sender": map[string]any{
			"name": r.Sender.Name, "email": r.Sender.Email, "company": r.Sender.Company, "address": r.Sender.Address,
		},
		"program":         map[string]any{"name": r.Program},
		"links":           r.Links,
		"unsubscribe_url": r.UnsubscribeURL,
		"preferences_url": r.PreferencesURL,
		"confirm_url":     r.ConfirmURL,
		"confirm_words":   r.ConfirmWords,
	}
}

// attributes is the one place whose keys are not known before a lead comes.
const attributes = "lead.attributes"

// scope knows every variable a template may use.
type scope struct {
	links map[string]string
	paths []string
}

func newScope(links map[string]string) *scope {
	s := &scope{links: maps.Clone(links)}
	for root, value := range (Reader{Links: links}).bindings() {
		switch fields := value.(type) {
		case map[string]any:
			for field := range fields {
				s.paths = append(s.paths, root+"."+field)
			}
		case map[string]string:
			for field := range fields {
				s.paths = append(s.paths, root+"."+field)
			}
		default:
			s.paths = append(s.paths, root)
		}
	}
	slices.Sort(s.paths)
	return s
}

// samples are the readers every template is tried with: one who told
// everything and one who told nothing but an address.
func (s *scope) samples() []Reader {
	sender := Sender{Name: "Sam Sender", Email: "sam@example.com", Company: "Example", Address: "1 Example Street"}
	full := &leadv1.Profile{
		Email: "ann@example.com", Phone: "+15550100", FirstName: "Ann", LastName: "Lee", Company: "Acme & Sons",
		CompanyDomain: "acme.example", JobTitle: "CTO", Country: "DE", TimeZone: "Europe/Berlin", Language: "de-DE",
		Website: "https://acme.example", Industry: "software", Employees: 42,
	}
	unsubscribe, preferences := "https://example.com/u/token", "https://example.com/preferences/token"
	confirm := "https://example.com/confirm/token"
	return []Reader{
		{Profile: full, Sender: sender, Program: "sample", Links: s.links, UnsubscribeURL: unsubscribe, PreferencesURL: preferences, ConfirmURL: confirm, ConfirmWords: "Send me articles."},
		{Profile: &leadv1.Profile{Email: "x@example.com"}, Program: "sample", Links: s.links, UnsubscribeURL: unsubscribe, PreferencesURL: preferences, ConfirmURL: confirm, ConfirmWords: "Send me articles."},
	}
}
