package person

import (
	"maps"
	"slices"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// identify takes over what the command knows about the person: a newer value
// that is not empty wins, the first touch stays, ids add up.
func (f *fold) identify() {
	c := f.cmd.GetCapture()
	var changed []string
	note := func(name string, did bool) {
		if did {
			changed = append(changed, name)
		}
	}
	mergeProfile(f.st.Lead.Profile, c.GetProfile(), note)
	if slices.Contains(changed, "email") {
		keep(&f.st.Emails, c.GetProfile().GetEmail(), maxEmails)
	}
	note("user_ids", c.GetUserId() != "" && keep(&f.st.Lead.UserIds, c.GetUserId(), maxIDs))
	note("anonymous_ids", c.GetAnonymousId() != "" && keep(&f.st.Lead.AnonymousIds, c.GetAnonymousId(), maxIDs))
	f.touch(c.GetAttribution(), note)
	if len(changed) == 0 {
		return
	}
	slices.Sort(changed)
	f.add(ReasonIdentified, &ingestv1.Event{Fact: &ingestv1.Event_Identified{
		Identified: &ingestv1.Identified{Changed: changed},
	}})
}

// mergeProfile copies every told value and notes those that differ.
func mergeProfile(have, told *leadv1.Profile, note func(string, bool)) {
	set := func(name string, field *string, value string) {
		if value != "" && value != *field {
			*field = value
			note(name, true)
		}
	}
	set("email", &have.Email, told.GetEmail())
	set("phone", &have.Phone, told.GetPhone())
	set("first_name", &have.FirstName, told.GetFirstName())
	set("last_name", &have.LastName, told.GetLastName())
	set("company", &have.Company, told.GetCompany())
	set("company_domain", &have.CompanyDomain, told.GetCompanyDomain())
	set("job_title", &have.JobTitle, told.GetJobTitle())
	set("country", &have.Country, told.GetCountry())
	set("time_zone", &have.TimeZone, told.GetTimeZone())
	set("website", &have.Website, told.GetWebsite())
	set("industry", &have.Industry, told.GetIndustry())
	set("language", &have.Language, told.GetLanguage())
	if n := told.GetEmployees(); n > 0 && n != have.GetEmployees() {
		have.Employees = n
		note("employees", true)
	}
	note("attributes", mergeDetails(have, told.GetAttributes()))
}

// mergeDetails adds attributes in alphabetical order until there are 64.
func mergeDetails(have *leadv1.Profile, told map[string]string) (changed bool) {
	for _, k := range slices.Sorted(maps.Keys(told)) {
		old, known := have.GetAttributes()[k]
		if told[k] == "" || old == told[k] || !known && len(have.GetAttributes()) >= maxDetails {
			continue
		}
		if have.Attributes == nil {
			have.Attributes = map[string]string{}
		}
		have.Attributes[k] = told[k]
		changed = true
	}
	return changed
}

// touch keeps the first touch for ever and the last one that names a campaign.
func (f *fold) touch(a *leadv1.Attribution, note func(string, bool)) {
	if a == nil {
		return
	}
	if a.GetAt() == nil {
		a.At = f.at
	}
	l := f.st.Lead
	if l.GetFirstTouch() == nil {
		l.FirstTouch = a
		note("first_touch", true)
	}
	if l.GetLastTouch() == nil || normal.Told(a) && !sameCampaign(l.GetLastTouch(), a) && !before(a, l.GetLastTouch()) {
		l.LastTouch = a
		note("last_touch", true)
	}
}

// before reports whether a touch came before another one: one that is told late
// is not the last.
func before(a, b *leadv1.Attribution) bool {
	return a.GetAt().AsTime().Before(b.GetAt().AsTime())
}

func sameCampaign(a, b *leadv1.Attribution) bool {
	return a.GetUtmSource() == b.GetUtmSource() && a.GetUtmMedium() == b.GetUtmMedium() &&
		a.GetUtmCampaign() == b.GetUtmCampaign() && a.GetUtmTerm() == b.GetUtmTerm() &&
		a.GetUtmContent() == b.GetUtmContent() && maps.Equal(a.GetClickIds(), b.GetClickIds())
}

// keep adds an id to a list of at most limit, dropping the oldest, and reports
// whether it is new.
func keep(list *[]string, id string, limit int) bool {
	if slices.Contains(*list, id) {
		return false
	}
	if len(*list) >= limit {
		*list = slices.Delete(*list, 0, len(*list)-limit+1)
	}
	*list = append(*list, id)
	return true
}
