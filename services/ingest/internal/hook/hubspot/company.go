package hubspot

import (
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// companyType is the type of a form's fields that are a company's.
const companyType = "0-2"

// companyField is our name, in a person's profile, for a property of HubSpot's
// companies; empty for those we have none for.
func companyField(name string) string {
	switch name {
	case "name":
		return "company"
	case "domain":
		return "company_domain"
	case "numberofemployees":
		return "employees"
	case "website", "industry", "country":
		return name
	}
	return ""
}

// companyTold is a property of a company that changed: it is told of the account
// that this id of HubSpot's names, and of nobody in it.
func companyTold(src *source.Source, e hook.Tree) hook.Item {
	c := &ingestv1.Company{ExternalIds: []string{"hubspot:" + e.Text("objectId")}}
	normal.TellCompany(c, normal.SnakeCase(e.Text("propertyName")), e.Text("propertyValue"))
	req := &ingestv1.CaptureLeadRequest{Source: src.Name, OccurredAt: hook.Stamp(e.Time("occurredAt")), Company: c}
	id := e.Text("eventId")
	return hook.Item{ID: id, Faults: normal.Capture(req, src.Country), Submission: &person.Submission{
		ID: person.Scoped(src.Name, id), Kind: person.KindAccount, Apply: &ingestv1.Apply{Capture: req},
	}}
}
