package hubspot

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

func TestAContactSaysWhichCompanyOfTheCRMItBelongsTo(t *testing.T) {
	answer := []byte(`{"id":"7","properties":{"email":"jo@acme.example","associatedcompanyid":"77"}}`)
	item, err := Dialect{}.Resolve(&hook.Fetch{Source: "crm", Id: "1", Kind: kindContact, Ref: "7"}, [][]byte{answer}, &source.Source{Name: "crm"})
	if err != nil || item.Submission == nil {
		t.Fatalf("%+v, %v", item, err)
	}
	c := item.Submission.Apply.GetCapture()
	if got := c.GetCompany().GetExternalIds(); !slices.Equal(got, []string{"hubspot:77"}) || c.GetProfile().GetAttributes()[company] != "" {
		t.Errorf("company %v of %v", got, c)
	}
}

// read gives what one call of HubSpot's tells.
func read(t *testing.T, body string, src *source.Source) []hook.Item {
	t.Helper()
	got, err := Dialect{}.Read(hook.Request{Method: http.MethodPost, Body: []byte(body)}, src)
	if err != nil {
		t.Fatal(err)
	}
	return got.Items
}

func TestTheFieldsOfACompanyInAFormAreNotThoseOfThePerson(t *testing.T) {
	items := read(t, `{"fields":[{"objectTypeId":"0-1","name":"email","value":"jo@acme.example"},{"objectTypeId":"0-1","name":"firstname","value":"Jo"},
		{"objectTypeId":"0-2","name":"name","value":"Acme GmbH"},{"objectTypeId":"0-2","name":"domain","value":"www.acme-group.example"},
		{"objectTypeId":"0-2","name":"numberofemployees","value":"1,200"},{"objectTypeId":"0-2","name":"industry","value":"BANKING"},
		{"objectTypeId":"0-2","name":"phone","value":"+4930901820"},{"objectTypeId":"0-2","name":"segment","value":"gold"}]}`,
		&source.Source{Name: "crm", Fields: map[string]string{"segment": "attribute.tier"}})
	if len(items) != 1 || items[0].Submission == nil || len(items[0].Faults) > 0 {
		t.Fatalf("%+v", items)
	}
	p := items[0].Submission.Apply.GetCapture().GetProfile()
	if p.GetCompany() != "Acme GmbH" || p.GetCompanyDomain() != "acme-group.example" || p.GetEmployees() != 1200 || p.GetIndustry() != "BANKING" {
		t.Errorf("the company is lost: %v", p)
	}
	if p.GetFirstName() != "Jo" || p.GetLastName() != "" || p.GetPhone() != "" || p.GetAttributes()["company_phone"] == "" || p.GetAttributes()["tier"] != "gold" {
		t.Errorf("the person is taken for the company: %v", p)
	}
}

func TestAContactTellsHowManyPeopleItsCompanyHas(t *testing.T) {
	questions, err := Dialect{}.Ask(&hook.Fetch{Ref: "7"}, &source.Source{})
	if err != nil || !slices.Contains(strings.Split(questions[0].Query.Get("properties"), ","), "numemployees") {
		t.Fatalf("asked %v, %v", questions, err)
	}
	answer := []byte(`{"id":"7","properties":{"email":"jo@acme.example","company":"Acme","industry":"BANKING","numemployees":"25-50"}}`)
	item, err := Dialect{}.Resolve(&hook.Fetch{Source: "crm", Id: "1", Kind: kindContact, Ref: "7"}, [][]byte{answer}, &source.Source{Name: "crm"})
	if err != nil || item.Submission == nil {
		t.Fatalf("%+v, %v", item, err)
	}
	if p := item.Submission.Apply.GetCapture().GetProfile(); p.GetCompany() != "Acme" || p.GetIndustry() != "BANKING" || p.GetEmployees() != 25 {
		t.Errorf("profile %v", p)
	}
}

func TestAChangedCompanyIsToldOfItsAccountAndOfNobody(t *testing.T) {
	src := &source.Source{Name: "crm"}
	change := func(property, value string) string {
		return `[{"eventId":9,"subscriptionType":"company.propertyChange","objectId":77,"occurredAt":1767225600000,"propertyName":"` + property + `","propertyValue":"` + value + `"}]`
	}
	for property, has := range map[string]func(*ingestv1.Company) bool{
		"name":              func(c *ingestv1.Company) bool { return c.GetName() == "64" },
		"numberofemployees": func(c *ingestv1.Company) bool { return c.GetEmployees() == 64 },
		"industry":          func(c *ingestv1.Company) bool { return c.GetIndustry() == "64" },
	} {
		items := read(t, change(property, "64"), src)
		if len(items) != 1 || items[0].Submission == nil || items[0].Submission.Kind != "account" || items[0].Submission.ID == "" {
			t.Fatalf("%s: %+v", property, items)
		}
		c := items[0].Submission.Apply.GetCapture()
		if !slices.Equal(c.GetCompany().GetExternalIds(), []string{"hubspot:77"}) || !has(c.GetCompany()) || c.GetOccurredAt().GetSeconds() != 1767225600 {
			t.Errorf("%s tells %v", property, c)
		}
	}
	for property, value := range map[string]string{"hs_num_open_deals": "3", "industry": ""} {
		if items := read(t, change(property, value), src); len(items) != 1 || items[0].Ignored == "" {
			t.Errorf("%s: %+v", property, items)
		}
	}
}
