package normal

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func TestAnAddressHasOneSpelling(t *testing.T) {
	for raw, want := range map[string]string{
		" Jo.Doe@ACME.Example ":               "jo.doe@acme.example",
		"mailto:jo@acme.example":              "jo@acme.example",
		"<jo@acme.example>":                   "jo@acme.example",
		"jo+tag@acme.co.uk":                   "jo+tag@acme.co.uk",
		"jo@bücher.example":                   "jo@xn--bcher-kva.example",
		"jo@acme.example.":                    "jo@acme.example",
		"o'neil@acme.example":                 "o'neil@acme.example",
		"jörg@acme.example":                   "jörg@acme.example",
		"":                                    "",
		"jo":                                  "",
		"@acme.example":                       "",
		"jo@":                                 "",
		"jo@acme":                             "",
		"jo@acme.1":                           "",
		"jo@127.0.0.1":                        "",
		"jo doe@acme.example":                 "",
		"jo..doe@acme.example":                "",
		".jo@acme.example":                    "",
		"jo@kim@acme.example":                 "",
		"jo@-acme.example":                    "",
		"jo@acme..example":                    "",
		"jo\x00@acme.example":                 "",
		"jo@acme.example, kim@acme.example":   "",
		strings.Repeat("a", 65) + "@acme.com": "",
	} {
		got, err := Email(raw)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q became %q, %v; expected %q", raw, got, err, want)
		}
	}
}

func TestSpellingAnAddressAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once, err := Email(rapid.String().Draw(t, "local") + "@" + rapid.StringMatching(`[a-zA-Z0-9äß.-]{1,20}\.[a-z]{2,6}`).Draw(t, "domain"))
		if err != nil {
			return
		}
		if twice, err := Email(once); err != nil || twice != once {
			t.Fatalf("%q became %q, %v", once, twice, err)
		}
	})
}

func TestAPhoneNumberIsDialledFromAnywhere(t *testing.T) {
	for _, tc := range []struct{ raw, country, want string }{
		{"030 901820", "DE", "+4930901820"},
		{"+49 (30) 901820", "", "+4930901820"},
		{"0049 30 901820", "", "+4930901820"},
		{"(650) 253-0000", "US", "+16502530000"},
		{"020 7946 0018", "GB", "+442079460018"},
		{"12", "DE", ""},
		{"030 901820", "", ""},
		{"call me", "US", ""},
		{strings.Repeat("1", 100), "US", ""},
	} {
		got, err := Phone(tc.raw, tc.country)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%q from %q became %q, %v; expected %q", tc.raw, tc.country, got, err, tc.want)
		}
	}
}

func TestACountryIsItsCode(t *testing.T) {
	for raw, want := range map[string]string{
		"de": "DE", "DEU": "DE", " Germany ": "DE", "uk": "GB", "United States": "US", "österreich": "AT",
		"XX": "", "Atlantis": "", "d": "", "150": "",
	} {
		if got, err := Country(raw); got != want || (err == nil) != (want != "") {
			t.Errorf("%q became %q, %v; expected %q", raw, got, err, want)
		}
	}
}

func TestACompanyIsTheDomainItPaysFor(t *testing.T) {
	for _, tc := range []struct{ email, website, want string }{
		{"jo@mail.acme.co.uk", "", "acme.co.uk"},
		{"jo@gmail.com", "https://www.acme.example/about", "acme.example"},
		{"jo@gmail.com", "", ""},
		{"jo@acme.example", "https://other.example", "acme.example"},
		{"", "Acme.Example", "acme.example"},
		{"", "not a site", ""},
		{"", "http://localhost:8080", ""},
	} {
		if got := CompanyDomain(tc.email, tc.website); got != tc.want {
			t.Errorf("%q, %q gave %q, expected %q", tc.email, tc.website, got, tc.want)
		}
	}
}

func TestWordsLoseWhatNobodySees(t *testing.T) {
	for raw, want := range map[string]string{
		"  Jo \t\n Doe ": "Jo Doe", "Jo\x00Doe": "JoDoe", "Jörg": "Jörg", "": "", " ": "", "a\xffb": "ab", "Jo\u00a0Doe": "Jo Doe",
	} {
		if got := Text(raw, 100); got != want {
			t.Errorf("%q became %q, expected %q", raw, got, want)
		}
	}
	if got := Text("äöü", 5); got != "äö" {
		t.Errorf("cut to %q", got)
	}
	if got := Block(" a\n b\x00 ", 100); got != "a\n b" {
		t.Errorf("block %q", got)
	}
}

func TestAFullNameIsTwo(t *testing.T) {
	for full, want := range map[string][2]string{
		"Jo Doe": {"Jo", "Doe"}, "Jo van Doe": {"Jo van", "Doe"}, "Doe, Jo": {"Jo", "Doe"}, "Jo": {"Jo", ""}, "": {"", ""},
	} {
		first, last := SplitName(full)
		if got := [2]string{first, last}; got != want {
			t.Errorf("%q is %q, expected %q", full, got, want)
		}
	}
}

func TestEventNamesAreSpelledLikeOurs(t *testing.T) {
	for name, want := range map[string]string{
		"Demo Requested": "demo_requested", "demoRequested": "demo_requested", "demo-requested": "demo_requested",
		"demo_requested": "demo_requested", "retURL": "ret_url", "_redirect": "redirect", "E-Mail": "e_mail", "!!": "", "plan2go": "plan2go",
	} {
		if got := SnakeCase(name); got != want {
			t.Errorf("%q became %q, expected %q", name, got, want)
		}
	}
}

func TestAPageSaysWhereSomebodyCameFrom(t *testing.T) {
	got := Campaign("https://www.example.com/p?utm_source=search&utm_campaign=the+eighty&gclid=G1&x=1&LI_FAT_ID=L#top", "https://search.example/")
	want := &leadv1.Attribution{
		UtmSource: "search", UtmCampaign: "the eighty", ClickIds: map[string]string{"gclid": "G1", "li_fat_id": "L"},
		Referrer: "https://search.example/", LandingPage: "https://www.example.com/p?utm_source=search&utm_campaign=the+eighty&gclid=G1&x=1&LI_FAT_ID=L#top",
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("attribution (-want +got): %s", diff)
	}
	if !Told(got) || Told(Campaign("https://www.example.com/", "")) || Campaign("", "") != nil {
		t.Error("a page without campaign is not a campaign, and nothing is nothing")
	}
}

func TestHeadcountsAreReadFromTheLowerEnd(t *testing.T) {
	for text, want := range map[string]int64{"51-200": 51, "1,000+": 1000, "25": 25, "none": 0, "": 0, "99999999999999999999": 2147483647, "10.000": 10000, "ca. 40": 40} {
		if got := headcount(text); got != want {
			t.Errorf("%q is %d, expected %d", text, got, want)
		}
	}
}

func TestACaptureIsBoundedAndItsFaultsAreNamed(t *testing.T) {
	req := &ingestv1.CaptureLeadRequest{
		Source: " Website ", UserId: strings.Repeat("u", 500),
		Profile:  &leadv1.Profile{Email: "jo", Phone: "030 901820", Country: "Germany", Attributes: map[string]string{"": "x", " plan ": " pro "}},
		Activity: &leadv1.Activity{Type: " "},
		Consents: []*leadv1.Consent{{Purpose: "Marketing Email"}, {}},
	}
	for i := range 100 {
		req.Profile.Attributes[fmt.Sprintf("k%03d", i)] = strings.Repeat("v", 2000)
	}
	var fields []string
	for _, f := range Capture(req, "") {
		fields = append(fields, f.Field)
	}
	if diff := cmp.Diff([]string{"email", "activity.type", "consent.purpose"}, fields); diff != "" {
		t.Errorf("faults (-want +got): %s", diff)
	}
	p := req.GetProfile()
	if p.GetEmail() != "" || p.GetPhone() != "+4930901820" || p.GetCountry() != "DE" || req.GetSource() != "website" || len(req.GetUserId()) != 200 {
		t.Errorf("capture %v", req)
	}
	if n := len(p.GetAttributes()); n > 64 || len(p.GetAttributes()["k000"]) != 1024 {
		t.Errorf("%d attributes of %d bytes", n, len(p.GetAttributes()["k000"]))
	}
	if req.GetConsents()[0].GetPurpose() != "marketing_email" {
		t.Errorf("purpose %q", req.GetConsents()[0].GetPurpose())
	}
	if FreeMail("acme.example") || !FreeMail("gmail.com") {
		t.Error("free mail is what anybody can have")
	}
}
