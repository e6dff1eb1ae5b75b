package leadview

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Limits of an attribute that is kept. Longer ones are free text, in which
// people write who they are.
const (
	maxValue  = 100
	maxDigits = 6
)

// personal reports whether a word in the name of an attribute says that its
// value is about one person.
func personal(word string) bool {
	switch strings.ToLower(word) {
	case "name", "firstname", "lastname", "surname", "fullname", "birth", "birthday", "dob",
		"mail", "email", "phone", "mobile", "tel", "telephone", "fax", "address", "street", "ip",
		"passport", "ssn", "iban", "message", "comment", "comments", "note", "notes":
		return true
	}
	return false
}

// Facts says what is known about a lead without saying who it is: names,
// addresses, numbers and free text become whether they are there, or are left
// out. nil for nil.
func Facts(lead *leadv1.Lead) *leadv1.Facts {
	if lead == nil {
		return nil
	}
	if lead.GetFacts() != nil { // a sealed record: ingest worked them out
		return lead.GetFacts()
	}
	p, from := lead.GetProfile(), lead.GetFirstTouch()
	if from.GetUtmSource() == "" && from.GetUtmCampaign() == "" {
		from = lead.GetLastTouch()
	}
	return &leadv1.Facts{
		HasEmail:      p.GetEmail() != "",
		HasPhone:      p.GetPhone() != "",
		HasName:       p.GetFirstName() != "" || p.GetLastName() != "",
		HasCompany:    p.GetCompany() != "" || p.GetCompanyDomain() != "",
		CompanyDomain: p.GetCompanyDomain(),
		JobTitle:      impersonal(p, p.GetJobTitle()),
		Country:       p.GetCountry(),
		TimeZone:      p.GetTimeZone(),
		Industry:      impersonal(p, p.GetIndustry()),
		Employees:     p.GetEmployees(),
		Attributes:    attributes(p),
		Source:        lead.GetSource(),
		UtmSource:     impersonal(p, from.GetUtmSource()),
		UtmMedium:     impersonal(p, from.GetUtmMedium()),
		UtmCampaign:   impersonal(p, from.GetUtmCampaign()),
		Consents:      allowed(lead),
		Suppressed:    lead.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED,
		CreatedAt:     lead.GetCreatedAt(),
		LastSeenAt:    lead.GetLastSeenAt(),
		Language:      p.GetLanguage(),
		FreeMail:      lead.GetFlags().GetFreeMail(),
		Disposable:    lead.GetFlags().GetDisposable(),
		RoleAddress:   lead.GetFlags().GetRoleAddress(),
		Test:          lead.GetFlags().GetTest(),
		Competitor:    lead.GetFlags().GetCompetitor(),
		OwnStaff:      lead.GetFlags().GetOwnStaff(),
	}
}

// allowed lists the purposes that may be used, sorted: by the consent policy, or
// by the answers alone where ingest knows no policy.
func allowed(lead *leadv1.Lead) []string {
	if len(lead.GetPermissions()) == 0 {
		return granted(lead.GetConsents())
	}
	var purposes []string
	for _, p := range lead.GetPermissions() {
		if p.GetAllowed() {
			purposes = append(purposes, p.GetPurpose())
		}
	}
	return purposes
}

// granted lists the purposes that were agreed to, sorted.
func granted(consents []*leadv1.Consent) []string {
	var purposes []string
	for _, c := range consents {
		if c.GetGranted() {
			purposes = append(purposes, c.GetPurpose())
		}
	}
	slices.Sort(purposes)
	return slices.Compact(purposes)
}

// attributes keeps those that say nothing about who the person is.
func attributes(p *leadv1.Profile) map[string]string {
	kept := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(p.GetAttributes())) {
		value := p.GetAttributes()[name]
		if !namesPerson(name) && impersonal(p, value) != "" {
			kept[name] = value
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// namesPerson reports whether one of the words of a name is personal: snake,
// kebab and camel case are taken apart.
func namesPerson(name string) bool {
	var word strings.Builder
	hit := func() bool {
		found := personal(word.String())
		word.Reset()
		return found
	}
	for _, r := range name {
		if !unicode.IsLetter(r) || unicode.IsUpper(r) {
			if hit() {
				return true
			}
		}
		if unicode.IsLetter(r) {
			word.WriteRune(r)
		}
	}
	return hit() || personal(name)
}

// Property answers the value of an activity's property as it may be seen without
// saying who did it: an address on the web without its query, names of our own as
// they are, and "" for what may be personal.
func Property(p *leadv1.Profile, name, value string) string {
	switch name {
	case "touch_id", "enrollment_id", "program", "step", "version", "template":
		return value
	}
	if namesPerson(name) {
		return ""
	}
	if strings.Contains(value, "://") || strings.HasPrefix(value, "/") {
		if i := strings.IndexAny(value, "?#"); i >= 0 {
			value = value[:i]
		}
		if strings.Contains(value, "%40") {
			return ""
		}
	}
	return impersonal(p, value)
}

// impersonal answers a value, or "" when it may say who the person is: an
// address, a number one could call, their own name, or free text.
func impersonal(p *leadv1.Profile, value string) string {
	if len(value) > maxValue || strings.Contains(value, "@") || digits(value) > maxDigits {
		return ""
	}
	folded := " " + strings.ToLower(value) + " "
	for _, own := range []string{p.GetFirstName(), p.GetLastName()} {
		if own != "" && strings.Contains(folded, " "+strings.ToLower(own)+" ") {
			return ""
		}
	}
	return value
}

func digits(s string) int {
	n := 0
	for _, r := range s {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}
