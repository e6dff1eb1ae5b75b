// Package fact works out what may be known of a person without saying who it is.
// That is what the other services read in ingest's sealed records, and what
// conditions are written against. Pure.
package fact

import (
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
		"passport", "ssn", "iban", "message", "comment", "comments", "note", "notes",
		// what tells one browser or one place from all others
		"agent", "useragent", "ua", "fingerprint", "cookie", "latitude", "longitude", "lat", "lng", "lon":
		return true
	}
	return false
}

// Of says what is known about a lead: names, addresses, numbers and free text
// become whether they are there, or are left out, and so are attributes that are
// not listed. nil for nil.
func (k *Known) Of(lead *leadv1.Lead) *leadv1.Facts {
	if lead == nil {
		return nil
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
		JobTitle:      Impersonal(p, p.GetJobTitle()),
		Country:       p.GetCountry(),
		TimeZone:      p.GetTimeZone(),
		Industry:      Impersonal(p, p.GetIndustry()),
		Employees:     p.GetEmployees(),
		Attributes:    k.listed(p),
		Source:        lead.GetSource(),
		UtmSource:     Impersonal(p, from.GetUtmSource()),
		UtmMedium:     Impersonal(p, from.GetUtmMedium()),
		UtmCampaign:   Impersonal(p, from.GetUtmCampaign()),
		Consents:      allowed(lead),
		Suppressed:    lead.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED,
		CreatedAt:     lead.GetCreatedAt(),
		LastSeenAt:    lead.GetLastSeenAt(),
		Language:      p.GetLanguage(),
		AccountId:     lead.GetAccountId(),
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

// listed are the attributes that conditions may know.
func (k *Known) listed(p *leadv1.Profile) map[string]string {
	var kept map[string]string
	for name, value := range p.GetAttributes() {
		if !k.attributes[name] || Impersonal(p, value) == "" {
			continue
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[name] = value
	}
	return kept
}

// Traits keeps the attributes of a company that are not about a person.
func Traits(p *leadv1.Profile, traits map[string]string) map[string]string {
	var kept map[string]string
	for name, value := range traits {
		if namesPerson(name) || Impersonal(p, value) == "" {
			continue
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[name] = value
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

// Property answers the value of an activity's property as conditions may know it:
// an address on the web without its query, names of our own as they are, and ""
// for what is not listed or may be personal.
func (k *Known) Property(p *leadv1.Profile, name, value string) string {
	switch {
	case ours[name]:
		return value
	case !k.properties[name]:
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
	return Impersonal(p, value)
}

// Impersonal answers a value, or "" when it may say who the person is: an
// address, a number one could call, their own name, or free text.
func Impersonal(p *leadv1.Profile, value string) string {
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
