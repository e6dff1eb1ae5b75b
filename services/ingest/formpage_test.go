package ingest_test

import (
	"html"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/ingest"
)

const formSources = `sources:
  website:
    title: Talk <to> us
    keys: [sha256:f31ceeae01ae3cebcb26cfa47eec0294f593ad761279eeacfc58b5801f2b2fb3]
    origins: ["https://www.example.com"]
    form:
      org_ids: [00D5g00000ABCDE]
      required: [email]
      allow_redirects: ["https://www.example.com/"]
      show: [first_name, email, message]
      consents: [{field: news, purpose: marketing_email, text: "Send me \"news\".", version: "1"}]
  strict:
    form: {token: true}
`

func newFormRoom(t *testing.T) *room {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sources.yaml")
	if err := os.WriteFile(file, []byte(formSources), 0o600); err != nil {
		t.Fatal(err)
	}
	return newRoomWith(t, func(cfg *ingest.Config) { cfg.Sources = file })
}

func (r *room) get(path string, headers ...string) reply {
	r.t.Helper()
	return r.send(http.MethodGet, path, nil, headers...)
}

func TestWhatNoPersonSentGetsTheSameAnswerAndWaitsForOne(t *testing.T) {
	r := newFormRoom(t)
	token := tokenOf(t, r, "website")
	for name, tc := range map[string]struct{ path, body, origin, says string }{
		"the trap":         {"website", "email=a@acme.example&_gotcha=x", "", "people do not see"},
		"a page of others": {"website", "email=b@acme.example", "https://evil.example", "origins"},
		"too fast":         {"website", "email=c@acme.example&_nt=" + token, "", "less than 2 seconds"},
		"no token":         {"strict", "email=d@acme.example", "", "token"},
		"a false token":    {"strict", "email=e@acme.example&_nt=" + token, "", "token"},
	} {
		before := len(r.parked())
		got := r.post("/v1/forms/"+tc.path, []byte(tc.body), "Content-Type", formType, "Origin", tc.origin)
		if want := "/v1/forms/" + tc.path + "/thanks"; got.status != http.StatusSeeOther || got.header.Get("Location") != want {
			t.Errorf("%s: answered %d to %q, expected the 303 of everybody", name, got.status, got.header.Get("Location"))
		}
		parked := r.parked()
		if len(parked) != before+1 || !strings.Contains(said(parked[before]), tc.says) || parked[before].GetSource() != tc.path {
			t.Errorf("%s: parked %v, expected the form and why", name, parked[before:])
		}
	}
	if n := r.leads(); n != 0 {
		t.Errorf("%d leads", n)
	}
	if got := r.redrive(r.parked()[0].Seq); !got.GetTaken() {
		t.Errorf("redriven %v", got)
	}
	r.eventually("a person's decision makes it a lead", func() bool { return r.leads() == 1 })
}

func tokenOf(t *testing.T, r *room, source string) string {
	t.Helper()
	page := r.get("/v1/forms/" + source)
	m := regexp.MustCompile(`name="_nt" value="([^"]+)"`).FindSubmatch(page.body)
	if m == nil {
		t.Fatalf("no token in %s", page.body)
	}
	return string(m[1])
}

func TestTheHostedFormWorksWithoutAnyScript(t *testing.T) {
	r := newFormRoom(t)
	page := r.get("/v1/forms/website?utm_source=search&ScCid=S", "Referer", "https://search.example/")
	body, policy := string(page.body), page.header.Get("Content-Security-Policy")
	for _, want := range []string{"Talk &lt;to&gt; us", `<label for="email">E-mail *`, `type="email"`, "Send me &#34;news&#34;.", "<textarea"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not contain %q", want)
		}
	}
	if strings.Contains(body, "<script") || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "form-action 'self' https://www.example.com") {
		t.Errorf("policy %q", policy)
	}
	sent := inputs(body)
	sent.Set("email", "jo@@acme")
	sent.Set("news", "yes")
	sent.Del("_nt")
	browser := []string{"Content-Type", formType, "Accept", "text/html,*/*", "Origin", r.url}
	again := r.post("/v1/forms/website", []byte(sent.Encode()), browser...)
	if again.status != http.StatusBadRequest || !strings.Contains(string(again.body), `value="jo@@acme"`) || !strings.Contains(string(again.body), `aria-invalid="true"`) {
		t.Fatalf("a wrong address: %d %s", again.status, again.body)
	}
	sent = inputs(string(again.body))
	sent.Set("email", "jo@acme.example")
	sent.Set("news", "yes")
	sent.Del("_nt")
	if got := r.post("/v1/forms/website", []byte(sent.Encode()), browser...); got.status != http.StatusSeeOther {
		t.Fatalf("the mended form: %d %s", got.status, got.body)
	}
	if got := r.get("/v1/forms/website/thanks"); got.status != http.StatusOK || !strings.Contains(string(got.body), "Thank you") {
		t.Errorf("thanks: %d %s", got.status, got.body)
	}
	l := r.lead(r.submit("email=jo@acme.example"))
	if c := l.GetConsents(); len(c) != 1 || c[0].GetText() != `Send me "news".` || c[0].GetTextVersion() != "1" {
		t.Errorf("consents %v", c)
	}
	if touch := l.GetFirstTouch(); touch.GetUtmSource() != "search" || touch.GetClickIds()["sccid"] != "S" || touch.GetReferrer() != "https://search.example/" {
		t.Errorf("first touch %v", touch)
	}
	if a := l.GetProfile().GetAttributes(); len(a) != 0 {
		t.Errorf("attributes %v, expected none", a)
	}
}

// inputs reads the fields of a page as a browser does; unticked boxes are not
// among them.
func inputs(page string) url.Values {
	values := url.Values{}
	for _, tag := range regexp.MustCompile(`<input [^>]*>`).FindAllString(page, -1) {
		if strings.Contains(tag, `type="checkbox"`) {
			continue
		}
		value := ""
		if m := regexp.MustCompile(` value="([^"]*)"`).FindStringSubmatch(tag); m != nil {
			value = m[1]
		}
		values.Set(regexp.MustCompile(` name="([^"]*)"`).FindStringSubmatch(tag)[1], html.UnescapeString(value))
	}
	return values
}

func TestAFormMadeForSalesforceNeedsOnlyAnotherAddress(t *testing.T) {
	r := newFormRoom(t)
	form := url.Values{"oid": {"00D5g00000ABCDEEA1"}, "retURL": {"https://www.example.com/danke"}, "last_name": {"M\xfcller"}, "company": {"Acme"}, "email": {"jo@acme.example"}}
	got := r.post("/servlet/servlet.WebToLead?encoding=ISO-8859-1", []byte(form.Encode()), "Content-Type", formType)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "https://www.example.com/danke" {
		t.Fatalf("answered %d to %q: %s", got.status, got.header.Get("Location"), got.body)
	}
	if p := r.lead(r.submit("email=jo@acme.example")).GetProfile(); p.GetLastName() != "Müller" || p.GetCompany() != "Acme" || len(p.GetAttributes()) != 0 {
		t.Errorf("profile %v", p)
	}
	form.Set("oid", "00D000000000000")
	if got := r.post("/servlet/servlet.WebToLead", []byte(form.Encode()), "Content-Type", formType); got.status != http.StatusNotFound || !strings.Contains(string(got.body), "org_ids") {
		t.Errorf("an unknown organisation: %d %s", got.status, got.body)
	}
}

func TestAFormThatCannotBeUsedIsKeptForAPerson(t *testing.T) {
	r := newFormRoom(t)
	if got := r.post("/v1/forms/website", []byte("mail_address=jo@acme.example"), "Content-Type", formType); got.status != http.StatusBadRequest {
		t.Fatalf("answered %d", got.status)
	}
	parked := r.parked()
	if len(parked) != 1 || parked[0].GetKind() != "form" || string(parked[0].GetData()) != "mail_address=jo@acme.example" || parked[0].GetFaults()[0].GetField() != "email" {
		t.Errorf("parked %v", parked)
	}
}

func TestTheSnippetIsSmallAndDoesWhatItSays(t *testing.T) {
	r := newFormRoom(t)
	got := r.get("/v1/snippet.js?source=website")
	if got.status != http.StatusOK || len(got.body) >= 1024 || strings.Contains(string(got.body), "TOKEN") {
		t.Fatalf("answered %d, %d bytes: expected fewer than 1024", got.status, len(got.body))
	}
	if got := r.get("/v1/snippet.js?source=nosuch"); got.status != http.StatusNotFound {
		t.Errorf("an unknown source: %d", got.status)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: the snippet is not run (Debian: apt-get install nodejs)")
	}
	file := filepath.Join(t.TempDir(), "snippet.js")
	if err := os.WriteFile(file, got.body, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), node, filepath.Join("testdata", "snippet_test.js"), file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestTheFirstVisitStaysTheFirstTouchWhateverComesLater(t *testing.T) {
	r := newFormRoom(t)
	at := time.Now().Add(-48 * time.Hour).UnixMilli()
	first := url.QueryEscape(strings.Join([]string{strconv.FormatInt(at, 10), "https://search.example/", "https://www.example.com/?utm_source=search&gclid=G1"}, " "))
	id := r.submit("email=jo@acme.example&anonymous_id=a1&page_url=" + url.QueryEscape("https://www.example.com/demo?utm_source=news") + "&_nf=" + first)
	l := r.lead(id)
	if f := l.GetFirstTouch(); f.GetUtmSource() != "search" || f.GetClickIds()["gclid"] != "G1" || f.GetAt().AsTime().UnixMilli() != at {
		t.Errorf("first touch %v", f)
	}
	if last := l.GetLastTouch(); last.GetUtmSource() != "news" {
		t.Errorf("last touch %v", last)
	}
	r.submit("email=jo@acme.example&page_url=" + url.QueryEscape("https://www.example.com/other") + "&_nf=" + first)
	if last := r.lead(id).GetLastTouch(); last.GetUtmSource() != "news" {
		t.Errorf("a first visit told again became the last touch: %v", last)
	}
	if got := r.types(id); got != "form_submitted form_submitted" {
		t.Errorf("activities %q", got)
	}
}
