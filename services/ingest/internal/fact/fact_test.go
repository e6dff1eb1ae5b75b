package fact

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func ann() *leadv1.Lead {
	born := timestamppb.New(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	return &leadv1.Lead{
		LeadId: "l1",
		Profile: &leadv1.Profile{
			Email: "ann@acme.example", Phone: "+4930901820", FirstName: "Ann", LastName: "Lee",
			Company: "Acme", CompanyDomain: "acme.example", JobTitle: "Head of Sales", Country: "DE",
			TimeZone: "Europe/Berlin", Website: "https://acme.example/ann", Industry: "software", Employees: 120, Language: "de-DE",
			Attributes: map[string]string{
				"customer": "C-4711", "hobby": "sailing", "plan": "team", "seats": "250", "companySize": "100-500",
				"billing_email": "ann at acme", "directPhone": "none", "phone-2": "x", "IP": "192.0.2.1", "Message": "hi",
				"userAgent": "curl/8", "latitude": "52.5", "contact": "write to ann@acme.example", "callback": "030 901820", "owner": "ask Ann please",
				"essay": strings.Repeat("words ", 30), "zip_code": "10115", "description": "short",
			},
		},
		FirstTouch: &leadv1.Attribution{UtmSource: "google", UtmMedium: "cpc", UtmCampaign: "spring"},
		LastTouch:  &leadv1.Attribution{UtmSource: "newsletter"},
		Consents: []*leadv1.Consent{
			{Purpose: "phone", Granted: true}, {Purpose: "marketing_email", Granted: true}, {Purpose: "ads"},
		},
		Suppression: leadv1.Suppression_SUPPRESSION_HARD_BOUNCE, Source: "website", CreatedAt: born, LastSeenAt: born,
	}
}

func TestFactsSayWhatIsKnownWithoutSayingWho(t *testing.T) {
	got := known(t).Of(ann())
	want := &leadv1.Facts{
		HasEmail: true, HasPhone: true, HasName: true, HasCompany: true, CompanyDomain: "acme.example",
		JobTitle: "Head of Sales", Country: "DE", TimeZone: "Europe/Berlin", Industry: "software", Employees: 120, Language: "de-DE",
		Attributes: map[string]string{"plan": "team", "seats": "250", "companySize": "100-500", "zip_code": "10115", "description": "short"},
		Source:     "website", UtmSource: "google", UtmMedium: "cpc", UtmCampaign: "spring",
		Consents: []string{"marketing_email", "phone"}, Suppressed: true,
		CreatedAt: ann().GetCreatedAt(), LastSeenAt: ann().GetLastSeenAt(),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestFactsOfLittleAreFew(t *testing.T) {
	if got := Builtin().Of(nil); got != nil {
		t.Errorf("facts of nobody: %v", got)
	}
	got := Builtin().Of(&leadv1.Lead{LastTouch: &leadv1.Attribution{UtmSource: "ads"}})
	if diff := cmp.Diff(&leadv1.Facts{UtmSource: "ads"}, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestNoPersonalDataGetsIntoFacts(t *testing.T) {
	fields := []string{"plan", "job", "referred_by", "x"}
	all, err := Parse("facts.yaml", []byte("attributes: ["+strings.Join(fields, ", ")+"]"))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.StringMatching(`[A-Z][a-z]{6,9}`).Draw(t, "first")
		last := rapid.StringMatching(`[A-Z][a-z]{6,9}`).Draw(t, "last")
		email := strings.ToLower(first) + "@mail.example"
		phone := "+49" + rapid.StringMatching(`[1-9][0-9]{7,9}`).Draw(t, "phone")
		secret := rapid.SampledFrom([]string{first, last, strings.ToUpper(first), email, phone, phone[:5] + " " + phone[5:]})
		around := rapid.SampledFrom([]string{"%", "call %", "% asked", "the one % named"})
		leak := func(where string) string {
			return strings.Replace(around.Draw(t, where), "%", secret.Draw(t, where), 1)
		}
		p := &leadv1.Profile{
			Email: email, Phone: phone, FirstName: first, LastName: last,
			JobTitle: leak("job"), Industry: leak("industry"), Attributes: map[string]string{},
		}
		for _, f := range fields {
			p.Attributes[f] = leak(f)
		}
		text := strings.ToLower(prototext.Format(all.Of(&leadv1.Lead{
			Profile:    p,
			FirstTouch: &leadv1.Attribution{UtmSource: leak("utm"), UtmCampaign: leak("utm")},
		})))
		for _, own := range []string{first, last, email, phone, phone[5:]} {
			if strings.Contains(text, strings.ToLower(own)) {
				t.Fatalf("%q got into %s", own, text)
			}
		}
	})
}
