package normal

import (
	"maps"
	"slices"
	"strings"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Limits of what is kept about a lead, in bytes and entries.
const (
	maxText       = 200
	maxValue      = 1024
	maxAttributes = 64
	maxConsent    = 4000
)

// Fault is one value that could not be read: which field, and what was expected.
type Fault struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Capture brings everything a submission tells into one spelling, in place.
// country is where its phone numbers are dialled when nothing says so; may be
// empty. A field that cannot be read is emptied and named in the result.
func Capture(req *ingestv1.CaptureLeadRequest, country string) []Fault {
	if req.GetProfile() == nil {
		req.Profile = &leadv1.Profile{}
	}
	req.Source = strings.ToLower(Text(req.GetSource(), 63))
	req.ExternalId = Text(req.GetExternalId(), maxText)
	req.UserId = Text(req.GetUserId(), maxText)
	req.AnonymousId = Text(req.GetAnonymousId(), maxText)
	req.GroupId, req.PreviousId = Text(req.GetGroupId(), maxText), Text(req.GetPreviousId(), maxText)
	faults := Profile(req.Profile, country)
	faults = append(faults, Company(req.GetCompany())...)
	faults = append(faults, externalIDs(req)...)
	if a := req.GetActivity(); a != nil {
		faults = append(faults, Activity(a)...)
	}
	for _, c := range req.GetConsents() {
		faults = append(faults, Consent(c)...)
	}
	return faults
}

// externalIDs reads the ids of other systems; one that cannot be read is left out.
func externalIDs(req *ingestv1.CaptureLeadRequest) (faults []Fault) {
	req.ExternalIds, faults = readIDs("external_ids", req.GetExternalIds())
	return faults
}

func readIDs(field string, raws []string) (ids []string, faults []Fault) {
	for _, raw := range raws {
		id, err := ExternalID(raw)
		if err != nil {
			faults = append(faults, Fault{Field: field, Message: err.Error()})
			continue
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), faults
}

// ExternalID gives the id of a person in another system as "system:id". The id
// keeps its spelling: other systems tell upper from lower case.
func ExternalID(raw string) (string, error) {
	system, id, ok := strings.Cut(strings.TrimSpace(raw), ":")
	system, id = SnakeCase(system), Text(id, maxText)
	if !ok || system == "" || id == "" {
		return "", ErrExternalID
	}
	return system + ":" + id, nil
}

// Profile brings a profile into one spelling, in place.
func Profile(p *leadv1.Profile, country string) []Fault {
	var faults []Fault
	read := func(field string, value *string, parse func(string) (string, error)) {
		if *value = strings.TrimSpace(*value); *value == "" {
			return
		}
		got, err := parse(*value)
		if err != nil {
			faults = append(faults, Fault{Field: field, Message: err.Error()})
		}
		*value = got
	}
	read("email", &p.Email, Email)
	read("country", &p.Country, Country)
	if p.GetCountry() != "" {
		country = p.GetCountry()
	}
	read("phone", &p.Phone, func(s string) (string, error) { return Phone(s, country) })
	for _, s := range []*string{&p.FirstName, &p.LastName, &p.Company, &p.JobTitle, &p.Industry} {
		*s = Text(*s, maxText)
	}
	p.TimeZone, p.Language = Text(p.GetTimeZone(), 64), Text(p.GetLanguage(), 35)
	p.Website = Text(p.GetWebsite(), maxURL)
	p.CompanyDomain = companyDomain(p)
	p.Employees = max(p.GetEmployees(), 0)
	p.Attributes = Values(p.GetAttributes())
	return faults
}

func companyDomain(p *leadv1.Profile) string {
	if d := Registrable(SiteHost(strings.ToLower(p.GetCompanyDomain()))); d != "" {
		return d
	}
	return CompanyDomain(p.GetEmail(), p.GetWebsite())
}

// Values bounds a set of values: the first 64 keys in alphabetical order, 1 KB each.
func Values(m map[string]string) map[string]string {
	if len(m) > maxAttributes {
		for _, k := range slices.Sorted(maps.Keys(m))[maxAttributes:] {
			delete(m, k)
		}
	}
	for k, v := range m {
		key := Text(k, maxText)
		if key != k || key == "" {
			delete(m, k)
		}
		if key != "" {
			m[key] = Block(v, maxValue)
		}
	}
	return m
}

// Activity brings an activity into one spelling, in place.
func Activity(a *leadv1.Activity) []Fault {
	a.Id = Text(a.GetId(), maxText)
	a.Type = SnakeCase(a.GetType())
	a.Properties = Values(a.GetProperties())
	if a.GetType() == "" {
		return []Fault{{Field: "activity.type", Message: "is missing; expected what was done, like demo_requested"}}
	}
	return nil
}

// Consent brings a consent into one spelling, in place. The words the person
// saw stay as they are.
func Consent(c *leadv1.Consent) []Fault {
	c.Purpose = SnakeCase(c.GetPurpose())
	c.Text = cut(c.GetText(), maxConsent)
	for _, s := range []*string{&c.TextVersion, &c.Source, &c.Method, &c.Ip} {
		*s = Text(*s, maxText)
	}
	c.SourceUrl, c.UserAgent = Text(c.GetSourceUrl(), maxURL), Text(c.GetUserAgent(), 512)
	if c.GetPurpose() == "" {
		return []Fault{{Field: "consent.purpose", Message: "is missing; expected what was answered, like marketing_email"}}
	}
	return nil
}
