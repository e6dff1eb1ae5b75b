package segment

import (
	"cmp"
	"maps"
	"slices"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/loose"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// describe enters traits into the profile; those it does not know are
// attributes. Three of them are commonly objects.
func (e *Event) describe(req *ingestv1.CaptureLeadRequest) {
	e.describeWith(req, e.Traits)
}

func (e *Event) describeWith(req *ingestv1.CaptureLeadRequest, traits loose.Object) {
	plain := loose.Object{}
	for _, name := range traits.Names() {
		switch inner := traits.Object(name); {
		case name == "company" && inner != nil:
			company(req, inner)
			req.GroupId = cmp.Or(req.GetGroupId(), inner.Text("id"))
		case name == "consents" && inner != nil:
			e.consents(req, inner)
		case name == "address" && inner != nil:
			address(req, inner)
		default:
			plain[name] = traits[name]
		}
	}
	tellAll(req, plain)
}

// consents reads answers by purpose, like {"marketing_email": true}.
func (e *Event) consents(req *ingestv1.CaptureLeadRequest, answers loose.Object) {
	for _, purpose := range answers.Names() {
		answer := answers.Text(purpose)
		if answer != "true" && answer != "false" {
			continue
		}
		req.Consents = append(req.Consents, &leadv1.Consent{
			Purpose: purpose, Granted: answer == "true", Source: req.GetSource(), Method: "api",
			Ip: string(e.Context.IP), UserAgent: string(e.Context.UserAgent), SourceUrl: e.Context.Page.Text("url"),
		})
	}
}

// address keeps the country as such and the rest as attributes.
func address(req *ingestv1.CaptureLeadRequest, a loose.Object) {
	req.Profile.Country = cmp.Or(req.Profile.GetCountry(), a.Text("country"))
	for name, value := range a.Flat() {
		if name != "country" {
			attribute(req, "address_"+normal.SnakeCase(name), value)
		}
	}
}

// describeFrom adds what the context knows. It never replaces what was told.
func (e *Event) describeFrom(req *ingestv1.CaptureLeadRequest) {
	p := req.GetProfile()
	if len(e.Context.Traits) > 0 {
		known := &ingestv1.CaptureLeadRequest{Source: req.GetSource(), Profile: &leadv1.Profile{}}
		e.describeWith(known, e.Context.Traits)
		fill(p, known.GetProfile())
		req.GroupId = cmp.Or(req.GetGroupId(), known.GetGroupId())
		if req.GetCompany() == nil {
			req.Company = known.GetCompany()
		}
		if len(req.GetConsents()) == 0 {
			req.Consents = known.GetConsents()
		}
	}
	if req.GetActivity() == nil {
		p.Language = cmp.Or(p.GetLanguage(), string(e.Context.Locale))
		p.TimeZone = cmp.Or(p.GetTimeZone(), string(e.Context.Timezone))
	}
}

// fill adds to a profile what it does not know yet.
func fill(p, known *leadv1.Profile) {
	for _, pair := range [...][2]*string{
		{&p.Email, &known.Email},
		{&p.Phone, &known.Phone},
		{&p.FirstName, &known.FirstName},
		{&p.LastName, &known.LastName},
		{&p.Company, &known.Company},
		{&p.CompanyDomain, &known.CompanyDomain},
		{&p.JobTitle, &known.JobTitle},
		{&p.Country, &known.Country},
		{&p.Website, &known.Website},
		{&p.Industry, &known.Industry},
		{&p.Language, &known.Language},
		{&p.TimeZone, &known.TimeZone},
	} {
		*pair[0] = cmp.Or(*pair[0], *pair[1])
	}
	p.Employees = cmp.Or(p.GetEmployees(), known.GetEmployees())
	for name, value := range known.GetAttributes() {
		if p.Attributes == nil {
			p.Attributes = map[string]string{}
		}
		if p.Attributes[name] == "" {
			p.Attributes[name] = value
		}
	}
}

// company enters what a group call, or the trait company, says: about the person
// and about the company itself.
func company(req *ingestv1.CaptureLeadRequest, traits loose.Object) {
	p := req.GetProfile()
	req.Company = &ingestv1.Company{}
	flat := traits.Flat()
	for _, name := range slices.Sorted(maps.Keys(flat)) {
		normal.TellCompany(req.Company, normal.SnakeCase(name), flat[name])
	}
	p.Company = cmp.Or(traits.Text("name"), p.GetCompany())
	p.Industry = cmp.Or(traits.Text("industry"), p.GetIndustry())
	p.Website = cmp.Or(traits.Text("website"), p.GetWebsite())
	for _, name := range [...]string{"employees", "employee_count", "employeeCount"} {
		if v := traits.Text(name); v != "" {
			normal.Tell(req, "employees", v)
		}
	}
	if domain := traits.Text("domain"); domain != "" {
		p.CompanyDomain = domain
	}
	if plan := traits.Text("plan"); plan != "" {
		attribute(req, "plan", plan)
	}
}

// tellAll enters traits in alphabetical order; of two names that mean the same
// the last one counts, except that a full name never replaces its parts.
func tellAll(req *ingestv1.CaptureLeadRequest, traits loose.Object) {
	flat := traits.Flat()
	for _, name := range slices.Sorted(maps.Keys(flat)) {
		spelled := normal.SnakeCase(name)
		switch spelled {
		case "", "user_id", "anonymous_id", "external_id", "id", "avatar":
			continue
		}
		if value := flat[name]; value != "" && !normal.Tell(req, spelled, value) {
			attribute(req, spelled, value)
		}
	}
}

func attribute(req *ingestv1.CaptureLeadRequest, name, value string) {
	if name == "" || value == "" {
		return
	}
	if req.Profile.Attributes == nil {
		req.Profile.Attributes = map[string]string{}
	}
	req.Profile.Attributes[name] = value
}
