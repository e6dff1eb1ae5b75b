package ingest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func TestAFormMakesALeadInOneRecord(t *testing.T) {
	r := newRoom(t)
	got := r.post("/v1/forms/demo", []byte(
		"email=Jo.Doe%40ACME.example&name=Jo+Doe&phone=030+901820&company=Acme&employees=51-200&consent_marketing_email=on&plan=pro&message=Call+me&gclid=g1&utm_source=search"+
			"&redirect=https%3A%2F%2Fwww.nurture.example%2Fthanks%2Fdemo"), "Content-Type", formType)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "https://www.nurture.example/thanks/demo" {
		t.Fatalf("a browser got %d to %q: %s", got.status, got.header.Get("Location"), got.body)
	}
	id := r.submit("email=jo.doe@acme.example")
	lead := r.lead(id)
	want := &leadv1.Profile{
		Email: "jo.doe@acme.example", Phone: "+4930901820", FirstName: "Jo", LastName: "Doe", Company: "Acme",
		CompanyDomain: "acme.example", Employees: 51, Attributes: map[string]string{"plan": "pro"},
	}
	if diff := cmp.Diff(want.String(), lead.GetProfile().String()); diff != "" {
		t.Errorf("profile (-want +got): %s", diff)
	}
	if c := lead.GetConsents(); len(c) != 1 || !c[0].GetGranted() || !strings.HasPrefix(c[0].GetText(), "Send me useful articles") || c[0].GetMethod() != "form" {
		t.Errorf("consents %v, expected the ticked box with its words", c)
	}
	if f := lead.GetFirstTouch(); f.GetUtmSource() != "search" || f.GetClickIds()["gclid"] != "g1" {
		t.Errorf("first touch %v", f)
	}
	if got := r.types(id); got != "demo_requested form_submitted" {
		t.Errorf("activities %q", got)
	}
	if n := r.leads(); n != 1 {
		t.Errorf("%d leads, expected one for one address", n)
	}
}

func TestABrowserJoinsThePersonWhoIdentifies(t *testing.T) {
	r := newRoom(t)
	r.track("/v1/page", map[string]any{"anonymousId": "a1", "properties": map[string]any{"path": "/pricing"}})
	id := r.submit("email=jo@acme.example&anonymous_id=a1")
	lead := r.lead(id)
	if len(lead.GetAnonymousIds()) != 1 || lead.GetProfile().GetEmail() != "jo@acme.example" {
		t.Fatalf("the visitor did not become the lead: %v", lead)
	}
	if got := r.types(id); got != "page_viewed form_submitted" {
		t.Errorf("activities %q", got)
	}
	if n := r.leads(); n != 1 {
		t.Errorf("%d leads, expected 1", n)
	}
}

func TestABrowserOfAKnownPersonIsLinkedAndNothingIsLost(t *testing.T) {
	r := newRoom(t)
	known := r.submit("email=jo@acme.example")
	r.track("/v1/page", map[string]any{"anonymousId": "a2", "properties": map[string]any{"path": "/pricing"}})
	if got := r.submit("email=jo@acme.example&anonymous_id=a2"); got != known {
		t.Fatalf("the address decided for %s, expected %s", got, known)
	}
	r.track("/v1/track", map[string]any{"anonymousId": "a2", "event": "Video Played"})
	if got := r.types(known); got != "form_submitted page_viewed form_submitted video_played" {
		t.Errorf("activities %q: the visitor's past or future is missing", got)
	}
}

func TestTwoPeopleAtOneBrowserStayTwo(t *testing.T) {
	r := newRoom(t)
	first := r.submit("email=jo@acme.example&anonymous_id=shared")
	second := r.submit("email=kim@other.example&anonymous_id=shared")
	if first == second {
		t.Fatal("two addresses at one browser became one lead")
	}
	if got := r.lead(first).GetProfile().GetEmail(); got != "jo@acme.example" {
		t.Errorf("the first person's address is now %q", got)
	}
	r.track("/v1/page", map[string]any{"anonymousId": "shared"})
	if got := r.types(second); got != "form_submitted page_viewed" {
		t.Errorf("the browser's next page went elsewhere: %q", got)
	}
}
