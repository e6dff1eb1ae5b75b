package normal

import (
	"strconv"
	"strings"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// Tell enters a value under any of the names that forms and trackers commonly
// give its field, spelled in snake case. It reports whether it knew the name.
func Tell(req *ingestv1.CaptureLeadRequest, name, value string) bool {
	p := req.GetProfile()
	var into *string
	switch name {
	case "email", "e_mail", "mail", "email_address", "your_email", "work_email", "business_email", "company_email":
		into = &p.Email
	case "phone", "phone_number", "telephone", "telefon", "tel", "mobile", "mobile_phone", "cell":
		into = &p.Phone
	case "first_name", "firstname", "fname", "given_name", "forename", "vorname":
		into = &p.FirstName
	case "last_name", "lastname", "lname", "surname", "family_name", "nachname":
		into = &p.LastName
	case "name", "full_name", "fullname", "your_name", "contact_name":
		tellName(req, value)
		return true
	case "company", "company_name", "organization", "organisation", "firma", "account":
		into = &p.Company
	case "company_domain", "domain":
		into = &p.CompanyDomain
	case "job_title", "jobtitle", "title", "position", "role":
		into = &p.JobTitle
	case "country", "country_code":
		into = &p.Country
	case "time_zone", "timezone", "tz":
		into = &p.TimeZone
	case "website", "company_website", "homepage":
		into = &p.Website
	case "industry", "sector", "branche":
		into = &p.Industry
	case "language", "lang", "locale":
		into = &p.Language
	case "employees", "employee_count", "company_size", "number_of_employees", "num_employees", "numberofemployees", "numemployees":
		p.Employees = headcount(value)
		return true
	case "user_id", "userid":
		into = &req.UserId
	case "anonymous_id", "anonymousid", "ajs_anonymous_id":
		into = &req.AnonymousId
	case "external_id", "submission_id", "entry_id":
		into = &req.ExternalId
	case "group_id", "groupid", "account_id", "company_id":
		into = &req.GroupId
	case "company_external_id":
		if req.GetCompany() == nil {
			req.Company = &ingestv1.Company{}
		}
		req.Company.ExternalIds = append(req.Company.ExternalIds, value)
		return true
	default:
		return false
	}
	*into = value
	return true
}

// tellName splits a full name into the parts that nothing else has told.
func tellName(req *ingestv1.CaptureLeadRequest, full string) {
	p := req.GetProfile()
	first, last := SplitName(full)
	if p.GetFirstName() == "" {
		p.FirstName = first
	}
	if p.GetLastName() == "" {
		p.LastName = last
	}
}

// headcount reads the lower end of "51-200", "1,000+" or "25"; 0 when there is
// no number.
func headcount(value string) int64 {
	digits := strings.Builder{}
	for _, r := range value {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case digits.Len() > 0 && r != ',' && r != '.' && r != '\'':
			n, _ := strconv.ParseInt(digits.String(), 10, 32) // 0 when absurd
			return n
		}
	}
	n, _ := strconv.ParseInt(digits.String(), 10, 32)
	return n
}
