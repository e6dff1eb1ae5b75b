package hubspot

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/crm"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// ourID is the property of a contact that holds our lead's id, when the handoff
// put it there.
const ourID = "nurture_lead_id"

// company is the property of a contact that holds the id of its company.
const company = "associatedcompanyid"

// Base is where the API is.
func (Dialect) Base() string { return "https://api.hubapi.com" }

// Ask gives the question for a contact.
func (Dialect) Ask(f *hook.Fetch, src *source.Source) ([]hook.Question, error) {
	properties := []string{
		ourID, "email", "firstname", "lastname", "phone", "company", "jobtitle", "country", "website", "industry",
		"numemployees", "hs_language", "hs_lead_status", "lifecyclestage", company,
	}
	for _, theirs := range slices.Sorted(maps.Keys(src.Fields)) {
		if !slices.Contains(properties, theirs) && !strings.Contains(theirs, ".") {
			properties = append(properties, theirs)
		}
	}
	return []hook.Question{{
		Path:  "/crm/v3/objects/contacts/" + url.PathEscape(f.GetRef()),
		Query: url.Values{"properties": {strings.Join(properties, ",")}},
	}}, nil
}

// Resolve makes a lead of a contact, or a word of sales.
func (Dialect) Resolve(f *hook.Fetch, answers [][]byte, src *source.Source) (hook.Item, error) {
	body, err := hook.ParseObject(answers[0])
	if err != nil {
		return hook.Item{}, err
	}
	properties := body.At("properties").Object()
	if properties == nil {
		return hook.Item{}, fmt.Errorf("HubSpot's answer has no object properties")
	}
	if f.GetKind() == kindStatus {
		return status(f, body, src), nil
	}
	at := body.Time("updatedAt")
	if f.GetOccurredAt() != nil {
		at = f.GetOccurredAt().AsTime()
	}
	l := hook.NewLead(src, "contact_created", at)
	if f.GetFacts()["why"] != "contact.creation" {
		l.Request().Activity = nil // told more about somebody, nobody did anything
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		switch name {
		case ourID, "hs_lead_status", "lifecyclestage", "hs_object_id", "createdate", "lastmodifieddate":
		case "hs_language":
			l.Enter("language", properties[name].Text(""))
		case company:
			l.Company("hubspot", properties[name].Text(""))
		default:
			l.Tell(name, properties[name].Text(""))
		}
	}
	return l.ItemOf(contact(f.GetRef()), f.GetId()), nil
}

// status is what a changed status of a contact means for its handoff.
func status(f *hook.Fetch, body hook.Tree, src *source.Source) hook.Item {
	word := f.GetFacts()["value"]
	s := &hook.Sales{
		Source: src.Name, Id: f.GetId(), Status: crm.Ready("hubspot", word),
		LeadId: body.Text("properties." + ourID), OccurredAt: f.GetOccurredAt(),
	}
	if s.GetLeadId() == "" {
		s.ExternalId = contact(f.GetRef())
	}
	if s.GetStatus() == ingestv1.SalesStatus_SALES_STATUS_REJECTED {
		s.Reason, s.Text = crm.Reason(word, "HubSpot: "+f.GetFacts()["property"]+" is "+word, src)
	}
	return hook.Item{ID: f.GetId(), Sales: s}
}

// Judge reads the status: HubSpot means what it says.
func (Dialect) Judge(code int, _ []byte) hook.Verdict { return hook.JudgeStatus(code) }

// form reads a form as HubSpot's own form API takes it.
func form(body hook.Tree, src *source.Source) hook.Item {
	l := hook.NewLead(src, "form_submitted", body.Time("submittedAt"))
	for _, field := range body.At("fields").List() {
		name, value := field.Text("name"), field.Text("value")
		if field.Text("objectTypeId") == companyType && !l.Mapped(name) {
			l.Enter(cmp.Or(companyField(name), "company_"+normal.SnakeCase(name)), value)
			continue
		}
		l.Tell(name, value)
	}
	l.Enter("page_url", body.Text("context.pageUri"))
	l.Property("page", body.Text("context.pageName"))
	l.Enter("anonymous_id", body.Text("context.hutk"))
	consent := body.At("legalConsentOptions.consent")
	for _, c := range consent.At("communications").List() {
		l.Consent(&leadv1.Consent{
			Purpose: "marketing_email", Granted: c.Text("value") == "true", Text: c.Text("text"), Method: "form",
			TextVersion: c.Text("subscriptionTypeId"), SourceUrl: body.Text("context.pageUri"), Ip: body.Text("context.ipAddress"),
		})
	}
	return l.Item("form-" + hook.Hex(hook.HMAC(nil, []byte(body.JSON()))))
}
