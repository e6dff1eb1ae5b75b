package normal

import (
	"strings"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// Company brings what a source tells of a company into one spelling, in place; a
// country that cannot be read is left out and named.
func Company(c *ingestv1.Company) []Fault {
	if c == nil {
		return nil
	}
	c.Name, c.Industry, c.Plan = Text(c.GetName(), maxText), Text(c.GetIndustry(), maxText), Text(c.GetPlan(), maxText)
	c.Website, c.Employees = Text(c.GetWebsite(), maxURL), max(c.GetEmployees(), 0)
	c.Domain = Site(strings.ToLower(strings.TrimSpace(c.GetDomain())))
	c.Attributes = Values(c.GetAttributes())
	var faults []Fault
	if country := strings.TrimSpace(c.GetCountry()); country != "" {
		var err error
		if c.Country, err = Country(country); err != nil {
			faults = append(faults, Fault{Field: "company.country", Message: err.Error()})
		}
	}
	ids, wrong := readIDs("company.external_ids", c.GetExternalIds())
	c.ExternalIds = ids
	return append(faults, wrong...)
}

// TellCompany enters a value about a company under any of the names that its
// field is commonly given, spelled in snake case; what it does not know is an
// attribute.
func TellCompany(c *ingestv1.Company, name, value string) {
	switch name {
	case "", "id", "group_id", "avatar", "logo", "created_at":
	case "name", "company", "company_name":
		c.Name = value
	case "domain", "company_domain":
		c.Domain = value
	case "website", "url", "homepage":
		c.Website = value
	case "industry", "sector":
		c.Industry = value
	case "employees", "employee_count", "company_size", "number_of_employees", "num_employees", "numberofemployees", "numemployees", "size":
		c.Employees = headcount(value)
	case "country", "country_code", "address_country":
		c.Country = value
	case "plan":
		c.Plan = value
	default:
		if c.Attributes == nil {
			c.Attributes = map[string]string{}
		}
		c.Attributes[name] = value
	}
}
