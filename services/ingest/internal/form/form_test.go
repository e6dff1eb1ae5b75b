package form

import (
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

const wording = "Send me useful articles by e-mail."

func theSource(t testing.TB, more string) *source.Source {
	t.Helper()
	set, err := source.Parse("sources.yaml", []byte(`sources:
  website:
    origins: ["https://www.example.com"]
    form:
      org_ids: [00D5g00000ABCDEEA1]
      fields: {"00N5g00000000AB": budget, firma: company}
      consents:
        - {field: newsletter, purpose: marketing_email, text: "`+wording+`", version: "3"}
`+more), nil)
	if err != nil {
		t.Fatal(err)
	}
	src, _ := set.Named("website")
	return src
}

func TestATokenSaysWhenAFormWasShownAndNothingElse(t *testing.T) {
	m, other := NewMint([]byte("secret")), NewMint([]byte("another"))
	token := m.Token("website", noon)
	if age, ok := m.Age("website", token, noon.Add(3*time.Second)); !ok || age != 3*time.Second {
		t.Errorf("age %s, %t", age, ok)
	}
	for name, ok := range map[string]bool{
		"another source":  second(m.Age("shop", token, noon)),
		"another secret":  second(other.Age("website", token, noon)),
		"from the future": second(m.Age("website", token, noon.Add(-time.Second))),
		"a week old":      second(m.Age("website", token, noon.Add(7*24*time.Hour))),
		"another time":    second(m.Age("website", "1"+token, noon)),
		"cut":             second(m.Age("website", token[:len(token)-1], noon)),
		"none":            second(m.Age("website", "", noon)),
	} {
		if ok {
			t.Errorf("a token is believed: %s", name)
		}
	}
}

func second(_ time.Duration, ok bool) bool { return ok }

func TestAFormIsSuspectedForANamedReason(t *testing.T) {
	m := NewMint([]byte("secret"))
	old, fresh := m.Token("website", noon.Add(-time.Minute)), m.Token("website", noon.Add(-time.Second))
	for _, tc := range []struct {
		name, token, origin, trap, more string
		want                            Suspicion
	}{
		{name: "a person", token: old, origin: "https://www.example.com"},
		{name: "a program without token"},
		{name: "the trap", token: old, trap: "x", want: Trapped},
		{name: "another page", token: old, origin: "https://evil.example", want: Strange},
		{name: "faster than anybody types", token: fresh, want: Hasty},
		{name: "no token where one is wanted", more: "      token: true\n", want: Unproven},
		{name: "somebody else's token where one is wanted", token: NewMint([]byte("x")).Token("website", noon.Add(-time.Minute)), more: "      token: true\n", want: Unproven},
		{name: "a token where one is wanted", token: old, more: "      token: true\n"},
	} {
		src := theSource(t, tc.more)
		said := Read(src, Values{"email": {"jo@acme.example"}, TokenField: {tc.token}, "_gotcha": {tc.trap}}, Visitor{})
		if got := Look(src, said, tc.origin, m, noon); got != tc.want {
			t.Errorf("%s: %q, expected %q", tc.name, got, tc.want)
		}
	}
}

func TestTheWordsThatWereShownAreTheProof(t *testing.T) {
	src := theSource(t, "")
	for _, tc := range []struct {
		name          string
		values        Values
		text, version string
		flagged       bool
	}{
		{"nothing said", Values{}, wording, "3", false},
		{"the same words, wrapped", Values{"newsletter_text": {"Send me useful\n   articles by e-mail. "}}, wording, "3", false},
		{"the same version", Values{"consent_version": {"3"}}, wording, "3", false},
		{"other words", Values{"newsletter_text": {"Spam me."}}, "Spam me.", "", true},
		{"another version", Values{"newsletter_version": {"2"}}, wording, "2", true},
		{"other words, of another version", Values{"consent_text": {"Spam me."}, "consent_version": {"2"}}, "Spam me.", "2", true},
	} {
		tc.values["email"], tc.values["newsletter"] = []string{"jo@acme.example"}, []string{"on"}
		said := Read(src, tc.values, Visitor{IP: "203.0.113.7", UserAgent: "Browser/1"})
		c := said.Capture.GetConsents()
		if len(c) != 1 || c[0].GetText() != tc.text || c[0].GetTextVersion() != tc.version || c[0].GetIp() != "203.0.113.7" {
			t.Errorf("%s: consents %v", tc.name, c)
		}
		if got := said.Capture.GetActivity().GetProperties()["consent_differs"] == "marketing_email"; got != tc.flagged {
			t.Errorf("%s: flagged %t, expected %t", tc.name, got, tc.flagged)
		}
		if attributes := said.Capture.GetProfile().GetAttributes(); len(attributes) != 0 {
			t.Errorf("%s: attributes %v, expected none", tc.name, attributes)
		}
	}
}

func TestAFormMadeForSalesforceIsUnderstood(t *testing.T) {
	said := Read(theSource(t, ""), Values{
		"oid": {"00D5g00000ABCDE"}, "retURL": {"https://www.example.com/thanks"}, "debug": {"1"}, "debugEmail": {"x@acme.example"},
		"first_name": {"Jo"}, "last_name": {"Doe"}, "company": {"Acme"}, "email": {"jo@acme.example"}, "title": {"CTO"}, "URL": {"https://acme.example"},
		"description": {"Call me"}, "lead_source": {"Web"}, "emailOptOut": {"1"}, "00N5g00000000AB": {"10k"}, "00N5g00000000XY": {"red"}, "city": {"Kiel"},
	}, Visitor{})
	p := said.Capture.GetProfile()
	if p.GetFirstName() != "Jo" || p.GetJobTitle() != "CTO" || p.GetWebsite() != "https://acme.example" || said.Redirect != "https://www.example.com/thanks" {
		t.Errorf("profile %v, redirect %q", p, said.Redirect)
	}
	a := p.GetAttributes()
	if a["budget"] != "10k" || a["00n5g00000000xy"] != "red" || a["city"] != "Kiel" || a["lead_source"] != "Web" || len(a) != 4 {
		t.Errorf("attributes %v", a)
	}
	if said.Capture.GetActivity().GetProperties()["message"] != "Call me" {
		t.Errorf("activity %v", said.Capture.GetActivity())
	}
	if c := said.Capture.GetConsents(); len(c) != 1 || c[0].GetGranted() || c[0].GetPurpose() != "marketing_email" {
		t.Errorf("consents %v, expected a withdrawal", c)
	}
}

func TestTheFirstVisitIsATouchOfItsOwnTime(t *testing.T) {
	read := func(first string) Reading {
		return Read(theSource(t, ""), Values{
			"email": {"jo@acme.example"}, "anonymous_id": {"a1"}, FirstField: {first}, "gclid": {"G2"}, "ScCid": {"S"}, "_fbp": {"f"},
			"page_url": {"https://www.example.com/demo?utm_source=news"},
		}, Visitor{})
	}
	said := read("1795600000000 https://search.example/ https://www.example.com/?utm_source=search&gclid=G1")
	touch := said.Capture.GetAttribution()
	if touch.GetUtmSource() != "news" || touch.GetClickIds()["gclid"] != "G2" || touch.GetClickIds()["sccid"] != "S" || touch.GetClickIds()["fbp"] != "f" {
		t.Errorf("the form's own touch is %v", touch)
	}
	visit := said.FirstVisit(noon.Add(10 * 24 * time.Hour))
	first := visit.GetAttribution()
	if first.GetUtmSource() != "search" || first.GetClickIds()["gclid"] != "G1" || first.GetReferrer() != "https://search.example/" || first.GetAt().AsTime().UnixMilli() != 1795600000000 {
		t.Errorf("the first touch is %v", first)
	}
	if visit.GetAnonymousId() != "a1" || visit.GetProfile().GetEmail() != "jo@acme.example" || visit.GetActivity() != nil {
		t.Errorf("the visit is %v", visit)
	}
	for _, odd := range []string{"", "x", "1", "1 2", "x r https://www.example.com/", "1795600000000  https://www.example.com/demo?utm_source=news"} {
		if got := read(odd).FirstVisit(noon); got != nil {
			t.Errorf("%q: %v, expected none", odd, got)
		}
	}
	for _, odd := range []string{"1 ", "9999999999999 ", "-5 "} {
		got := read(odd + " https://www.example.com/old").FirstVisit(noon)
		if !got.GetAttribution().GetAt().AsTime().Equal(noon) {
			t.Errorf("%q: at %v, expected the time of the form", odd, got)
		}
	}
}

func TestOldPagesMaySendLatin(t *testing.T) {
	if got := Latin(Values{"last_name": {"M\xfcller"}})["last_name"][0]; got != "Müller" || strings.Contains(got, "\xfc\x6c") {
		t.Errorf("%q", got)
	}
}
