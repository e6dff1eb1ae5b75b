package segment

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func TestWhatLibrariesAddIsKeptOrLeftOutAsWritten(t *testing.T) {
	const source = "website"
	for _, tc := range []struct {
		name, kind, body string
		want             *ingestv1.CaptureLeadRequest
	}{
		{
			"reserved traits", "identify",
			`{"userId":"u1","traits":{"name":"Jo Doe","title":"CTO","avatar":"https://x.example/a.png","createdAt":"2026-01-01","username":"jo",
				"address":{"street":"Weg 1","city":"Kiel","postalCode":"24103","country":"Germany"},"company":{"name":"Acme","id":"c1","industry":"Software","employee_count":120,"plan":"pro"}}}`,
			&ingestv1.CaptureLeadRequest{Source: source, UserId: "u1", Profile: &leadv1.Profile{
				FirstName: "Jo", LastName: "Doe", JobTitle: "CTO", Country: "DE", Company: "Acme", Industry: "Software", Employees: 120,
				Attributes: map[string]string{
					"created_at": "2026-01-01", "username": "jo", "address_street": "Weg 1", "address_city": "Kiel", "address_postal_code": "24103", "plan": "pro",
				},
			}, GroupId: "c1", Company: &ingestv1.Company{Name: "Acme", Industry: "Software", Employees: 120, Plan: "pro"}},
		},
		{
			"traits in the context fill what is not told", "identify",
			`{"userId":"u1","traits":{"firstName":"Jo"},"context":{"traits":{"firstName":"Joseph","email":"jo@acme.example","plan":"pro"}}}`,
			&ingestv1.CaptureLeadRequest{Source: source, UserId: "u1", Profile: &leadv1.Profile{
				FirstName: "Jo", Email: "jo@acme.example", CompanyDomain: "acme.example", Attributes: map[string]string{"plan": "pro"},
			}},
		},
		{
			"nested properties get flat names", "track",
			`{"anonymousId":"a1","event":"Cart Viewed","properties":{"cart":{"total":5,"by":{"card":{"kind":"x"}}},"list":[{"a":1}],"cart_total":6}}`,
			&ingestv1.CaptureLeadRequest{Source: source, AnonymousId: "a1", Profile: &leadv1.Profile{}, Activity: &leadv1.Activity{
				Type: "cart_viewed", Properties: map[string]string{"cart_total": "6", "cart_by_card": `{"kind":"x"}`, "list": `[{"a":1}]`},
			}},
		},
		{
			"device and user agent stay with the activity, address and library do not", "track",
			`{"anonymousId":"a1","event":"Opened","context":{"ip":"203.0.113.7","userAgent":"Browser/1","device":{"type":"ios","id":"secret"},
				"os":{"name":"iOS"},"app":{"name":"Shop","version":"1"},"library":{"name":"l","version":"1"},"network":{"wifi":true}}}`,
			&ingestv1.CaptureLeadRequest{Source: source, AnonymousId: "a1", Profile: &leadv1.Profile{}, Activity: &leadv1.Activity{
				Type: "opened", Properties: map[string]string{"user_agent": "Browser/1", "device_type": "ios", "os": "iOS", "app": "Shop"},
			}},
		},
		{
			"a consent has the address as its proof", "identify",
			`{"userId":"u1","traits":{"consents":{"marketing_email":true,"calls":"perhaps"}},"context":{"ip":"203.0.113.7","userAgent":"Browser/1","page":{"url":"https://www.example.com/p"}}}`,
			&ingestv1.CaptureLeadRequest{
				Source: source, UserId: "u1", Profile: &leadv1.Profile{}, Attribution: &leadv1.Attribution{LandingPage: "https://www.example.com/p"},
				Consents: []*leadv1.Consent{{Purpose: "marketing_email", Granted: true, Source: source, Method: "api", Ip: "203.0.113.7", UserAgent: "Browser/1", SourceUrl: "https://www.example.com/p"}},
			},
		},
		{
			"the click that brought the visitor", "page",
			`{"anonymousId":"a1","context":{"referrer":{"id":"CjwK","type":"gclid","url":"https://search.example"}}}`,
			&ingestv1.CaptureLeadRequest{
				Source: source, AnonymousId: "a1", Profile: &leadv1.Profile{},
				Attribution: &leadv1.Attribution{Referrer: "https://search.example", ClickIds: map[string]string{"gclid": "CjwK"}},
				Activity:    &leadv1.Activity{Type: "page_viewed"},
			},
		},
		{
			"a screen with its category", "screen", `{"userId":"u1","name":"Prices","category":"Shop"}`,
			&ingestv1.CaptureLeadRequest{Source: source, UserId: "u1", Profile: &leadv1.Profile{}, Activity: &leadv1.Activity{
				Type: "screen_viewed", Properties: map[string]string{"name": "Prices", "category": "Shop"},
			}},
		},
	} {
		items := read(t, tc.body, tc.kind)
		if len(items) != 1 || items[0].Submission == nil || len(items[0].Faults) > 0 {
			t.Errorf("%s: %+v", tc.name, items)
			continue
		}
		if diff := cmp.Diff(tc.want, items[0].Submission.Apply.GetCapture(), protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got): %s", tc.name, diff)
		}
	}
}

func TestWhatASenderForbidsUsIsLeftOut(t *testing.T) {
	for integrations, want := range map[string]bool{
		`{}`: true, `{"All":true}`: true, `{"Elsewhere":false}`: true, `{"All":false,"Nurture":true}`: true, `{"All":false,"Nurture":{"x":1}}`: true, `null`: true, `[]`: true,
		`{"All":false}`: false, `{"Nurture":false}`: false, `{"All":true,"nurture":false}`: false,
	} {
		for _, body := range []string{
			`{"batch":[{"type":"track","userId":"u","event":"e","integrations":` + integrations + `}]}`,
			`{"integrations":` + integrations + `,"batch":[{"type":"track","userId":"u","event":"e"}]}`,
		} {
			item := read(t, body, "batch")[0]
			if got := item.Submission != nil; got != want || (item.LeftOut == "") != want {
				t.Errorf("%s: taken %t, expected %t (%q)", body, got, want, item.LeftOut)
			}
		}
	}
}

// FuzzSegment wants that no body breaks the reader, and that every event has a
// submission, or a reason why not.
func FuzzSegment(f *testing.F) {
	for _, seed := range []string{
		`{"type":"track","userId":"u1","event":"E","properties":{"a":{"b":[1]}}}`,
		`{"batch":[{"type":"identify","anonymousId":7,"traits":{"email":"jo@acme.example","address":{"country":"DE"}}}],"sentAt":"2026-11-22T12:00:00Z"}`,
		`{"batch":[{"type":"group","groupId":"g","userId":"u"},{"type":"alias","previousId":"a","userId":"u"}],"context":{"campaign":{"name":"n"}}}`,
		`{"batch":[null,1,"x",[],{}],"integrations":{"All":false}}`, `[`, `{"timestamp":-1e400}`, "{\"event\":\"\x00\xff\"}",
	} {
		f.Add([]byte(seed), "track")
		f.Add([]byte(seed), "batch")
	}
	f.Fuzz(func(t *testing.T, body []byte, kind string) {
		env, err := Open(body, kind)
		if err != nil {
			return
		}
		items := env.Read(From{Source: "s", Country: "DE", Received: received})
		if len(items) != env.Len() {
			t.Fatalf("%d items of %d events", len(items), env.Len())
		}
		for _, item := range items {
			if item.Submission == nil && len(item.Faults) == 0 && item.LeftOut == "" {
				t.Fatalf("%q was dropped without a reason", body)
			}
			if item.Submission != nil {
				if _, err := item.Submission.Command(); err != nil {
					t.Fatalf("%q cannot be written: %v", body, err)
				}
			}
		}
	})
}
