package person

import (
	"slices"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// field is one value of a profile and where it is noted when it was told.
type field struct {
	name  string
	value func(*leadv1.Profile) *string
	at    func(*ingestv1.Times) *int64
}

// fields are the texts of a profile.
func fields() []field {
	return []field{
		{"email", func(p *leadv1.Profile) *string { return &p.Email }, func(t *ingestv1.Times) *int64 { return &t.Email }},
		{"phone", func(p *leadv1.Profile) *string { return &p.Phone }, func(t *ingestv1.Times) *int64 { return &t.Phone }},
		{"first_name", func(p *leadv1.Profile) *string { return &p.FirstName }, func(t *ingestv1.Times) *int64 { return &t.FirstName }},
		{"last_name", func(p *leadv1.Profile) *string { return &p.LastName }, func(t *ingestv1.Times) *int64 { return &t.LastName }},
		{"company", func(p *leadv1.Profile) *string { return &p.Company }, func(t *ingestv1.Times) *int64 { return &t.Company }},
		{"company_domain", func(p *leadv1.Profile) *string { return &p.CompanyDomain }, func(t *ingestv1.Times) *int64 { return &t.CompanyDomain }},
		{"job_title", func(p *leadv1.Profile) *string { return &p.JobTitle }, func(t *ingestv1.Times) *int64 { return &t.JobTitle }},
		{"country", func(p *leadv1.Profile) *string { return &p.Country }, func(t *ingestv1.Times) *int64 { return &t.Country }},
		{"time_zone", func(p *leadv1.Profile) *string { return &p.TimeZone }, func(t *ingestv1.Times) *int64 { return &t.TimeZone }},
		{"website", func(p *leadv1.Profile) *string { return &p.Website }, func(t *ingestv1.Times) *int64 { return &t.Website }},
		{"industry", func(p *leadv1.Profile) *string { return &p.Industry }, func(t *ingestv1.Times) *int64 { return &t.Industry }},
		{"language", func(p *leadv1.Profile) *string { return &p.Language }, func(t *ingestv1.Times) *int64 { return &t.Language }},
	}
}

// idset is one of a lead's sets of ids: at most limit, those told last, in the
// order of when they were told.
type idset struct {
	name  string
	limit int
	ids   func(*ingestv1.Part) *[]string
	at    func(*ingestv1.Times) *[]int64
}

// idsets are the sets of ids of a part.
func idsets() []idset {
	return []idset{
		{"user_ids", maxIDs, func(p *ingestv1.Part) *[]string { return &p.Lead.UserIds }, func(t *ingestv1.Times) *[]int64 { return &t.UserIds }},
		{"anonymous_ids", maxIDs, func(p *ingestv1.Part) *[]string { return &p.Lead.AnonymousIds }, func(t *ingestv1.Times) *[]int64 { return &t.AnonymousIds }},
		{"external_ids", maxIDs, func(p *ingestv1.Part) *[]string { return &p.Lead.ExternalIds }, func(t *ingestv1.Times) *[]int64 { return &t.ExternalIds }},
		{"phones", maxPhones, func(p *ingestv1.Part) *[]string { return &p.Lead.Phones }, func(t *ingestv1.Times) *[]int64 { return &t.Phones }},
		{"emails", maxEmails, func(p *ingestv1.Part) *[]string { return &p.Emails }, func(t *ingestv1.Times) *[]int64 { return &t.Emails }},
	}
}

// later reports whether a value told at one time replaces another one: the
// later one counts, of two at one time the greater one, so that the order in
// which they come does not matter.
func later(value string, at int64, old string, oldAt int64) bool {
	return at > oldAt || at == oldAt && value > old
}

// tell enters a text; it reports whether the value and whether anything changed.
func tell(have *string, haveAt *int64, value string, at int64) (differs, moved bool) {
	if value == "" || !later(value, at, *have, *haveAt) {
		return false, false
	}
	differs = value != *have
	*have, *haveAt = value, at
	return differs, true
}

// keep enters an id into a set; it reports whether the id is new and whether
// anything changed.
func (s idset) keep(p *ingestv1.Part, id string, at int64) (isNew, moved bool) {
	ids, times := s.ids(p), s.at(p.Times)
	for len(*times) < len(*ids) {
		*times = append([]int64{0}, *times...)
	}
	i := slices.Index(*ids, id)
	if i >= 0 {
		if at <= (*times)[i] {
			return false, false
		}
		*ids, *times = slices.Delete(*ids, i, i+1), slices.Delete(*times, i, i+1)
	}
	isNew = i < 0
	for i = len(*ids); i > 0 && ((*times)[i-1] > at || (*times)[i-1] == at && (*ids)[i-1] > id); i-- {
	}
	*ids, *times = slices.Insert(*ids, i, id), slices.Insert(*times, i, at)
	if over := len(*ids) - s.limit; over > 0 {
		*ids, *times = slices.Delete(*ids, 0, over), slices.Delete(*times, 0, over)
		return isNew && i >= over, i >= over
	}
	return isNew, true
}

// attribute enters one attribute; of more than 64 those told last stay.
func attribute(p *ingestv1.Part, name, value string, at int64) (differs, moved bool) {
	profile, times := p.Lead.Profile, p.Times
	old, known := profile.GetAttributes()[name]
	if value == "" || known && !later(value, at, old, times.GetAttributes()[name]) {
		return false, false
	}
	if profile.Attributes == nil {
		profile.Attributes = map[string]string{}
	}
	if times.Attributes == nil {
		times.Attributes = map[string]int64{}
	}
	profile.Attributes[name], times.Attributes[name] = value, at
	if len(profile.Attributes) > maxDetails {
		oldest := oldestAttribute(p)
		delete(profile.Attributes, oldest)
		delete(times.Attributes, oldest)
		if oldest == name {
			return false, false
		}
	}
	return old != value, true
}

func oldestAttribute(p *ingestv1.Part) string {
	oldest, at, first := "", int64(0), true
	for name := range p.Lead.Profile.Attributes {
		t := p.Times.Attributes[name]
		if first || t < at || t == at && name < oldest {
			oldest, at, first = name, t, false
		}
	}
	return oldest
}
