package ingest_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAFormReadsEveryEncoding(t *testing.T) {
	r := newRoom(t)
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range map[string]string{"Mail": "jo@acme.example", "first_name": "Jo"} {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := r.post("/v1/forms/website", body.Bytes(), "Content-Type", w.FormDataContentType(), "Accept", "application/json")
	if got.status != http.StatusCreated {
		t.Fatalf("multipart: %d %s", got.status, got.body)
	}
	lead := got.json(t)["lead_id"]
	got = r.post("/v1/forms/website", []byte(`{"email":"JO@acme.example","employees":70,"topics":["a","b"],"consent_marketing_email":true}`), "Content-Type", "application/json; charset=utf-8")
	if got.status != http.StatusOK || got.json(t)["lead_id"] != lead || strings.Contains(string(got.body), "true") {
		t.Fatalf("JSON: %d %s", got.status, got.body)
	}
	l := r.lead(lead.(string))
	if p := l.GetProfile(); p.GetFirstName() != "Jo" || p.GetEmployees() != 70 || p.GetAttributes()["topics"] != "a, b" || len(l.GetConsents()) != 1 {
		t.Errorf("lead %v", l)
	}
}

func TestBadFormsNameEachField(t *testing.T) {
	r := newRoom(t)
	for _, tc := range []struct {
		name, path, body, kind string
		status                 int
		says                   []string
	}{
		{"bad values", "/v1/forms/website", "email=jo@@acme&phone=12&country=Atlantis", formType, 400, []string{`"field":"email"`, `"field":"phone"`, `"field":"country"`, "jo@example.com"}},
		{"no address", "/v1/forms/website", "first_name=Jo", formType, 400, []string{`"field":"email"`, "is required"}},
		{"empty", "/v1/forms/website", "", formType, 400, []string{"empty"}},
		{"nested", "/v1/forms/website", `{"email":"jo@acme.example","a":{"b":1}}`, "application/json", 400, []string{`"field":"a"`}},
		{"unknown form", "/v1/forms/nosuch", "email=jo@acme.example", formType, 404, []string{"sources.yaml"}},
		{"source without form", "/v1/forms/product", "email=jo@acme.example", formType, 404, []string{"sources.yaml"}},
		{"too large", "/v1/forms/website", "email=jo@acme.example&x=" + strings.Repeat("x", 300<<10), formType, 413, []string{"262144"}},
	} {
		got := r.post(tc.path, []byte(tc.body), "Content-Type", tc.kind)
		if got.status != tc.status {
			t.Errorf("%s: answered %d %s, expected %d", tc.name, got.status, got.body, tc.status)
		}
		for _, says := range tc.says {
			if !strings.Contains(string(got.body), says) {
				t.Errorf("%s: %s does not say %q", tc.name, got.body, says)
			}
		}
	}
	if n := r.leads(); n != 0 {
		t.Errorf("%d leads of bad forms", n)
	}
}

func TestAFormRedirectsOnlyWhereItIsAllowed(t *testing.T) {
	r := newRoom(t)
	const home = "https://www.nurture.example/thanks"
	for asked, want := range map[string]string{
		"":                                        home,
		"https://www.nurture.example/x?y=1":       "https://www.nurture.example/x?y=1",
		"https://evil.example/":                   home,
		"https://www.nurture.example.evil/":       home,
		"https://www.nurture.example@evil.com/":   home,
		"//evil.example/":                         home,
		`https:\\evil.example`:                    home,
		"javascript:alert(1)":                     home,
		"http://www.nurture.example/":             home,
		"https://www.nurture.example:8443/":       home,
		"https://www.nurture.example/\r\nX: y":    home,
		"https://www.nurture.example/../../other": home,
	} {
		got := r.post("/v1/forms/website", []byte(url.Values{"email": {"jo@acme.example"}, "_redirect": {asked}}.Encode()), "Content-Type", formType)
		if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
			t.Errorf("asked for %q: %d to %q, expected %q", asked, got.status, got.header.Get("Location"), want)
		}
	}
}

func TestAMachineGetsTheSameAnswerAndNoLead(t *testing.T) {
	r := newRoom(t)
	got := r.post("/v1/forms/website", []byte("email=jo@acme.example&fax_number=123"), "Content-Type", formType)
	if got.status != http.StatusSeeOther {
		t.Fatalf("answered %d", got.status)
	}
	if n := r.leads(); n != 0 {
		t.Fatalf("%d leads", n)
	}
	parked := r.parked()
	if len(parked) != 1 || parked[0].GetReason() != "quarantined" {
		t.Fatalf("parked %v, expected the form", parked)
	}
	if got := r.redrive(parked[0].Seq); !got.GetTaken() {
		t.Errorf("redriven %v", got)
	}
	r.eventually("a person's decision makes it a lead", func() bool { return r.leads() == 1 })
}

func TestASecondClickIsTheSameSubmission(t *testing.T) {
	r := newRoom(t)
	first := r.submit("email=jo@acme.example&first_name=Jo")
	second := r.submit("email=jo@acme.example&first_name=Jo")
	if first != second {
		t.Fatal("two leads")
	}
	if got := r.types(first); got != "form_submitted" {
		t.Errorf("activities %q", got)
	}
}

func TestAFormThatNamesItselfMeansWhatItsNameSays(t *testing.T) {
	r := newRoom(t)
	id := r.submit("email=jo@acme.example&form=ask_demo&consent_text=whatever")
	if got := r.types(id); got != "demo_requested" {
		t.Errorf("activities %q", got)
	}
	if a := r.lead(id).GetProfile().GetAttributes(); len(a) != 0 {
		t.Errorf("attributes %v, expected none", a)
	}
}
