package fact

import (
	"slices"
	"strings"
	"testing"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func known(t testing.TB) *Known {
	t.Helper()
	k, err := Parse("facts.yaml", []byte("attributes: [plan, seats, companySize, zip_code, description, contact, callback, owner, essay]\nproperties: [product]\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestConditionsKnowNoAttributeThatIsNotListed(t *testing.T) {
	if got := Builtin().Of(ann()).GetAttributes(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if got := known(t).Of(ann()).GetAttributes(); got["plan"] != "team" || got["customer"] != "" || got["hobby"] != "" {
		t.Errorf("got %v", got)
	}
}

func TestConditionsKnowPropertiesThatAreListedOrOfPages(t *testing.T) {
	k := known(t)
	for name, want := range map[string]bool{"product": true, "url": true, "path": true, "form": true, "touch_id": true, "order": false, "title": false, "message": false} {
		if got := k.Property(&leadv1.Profile{}, name, "x"); (got == "x") != want {
			t.Errorf("%s: got %q", name, got)
		}
		if slices.Contains(k.Properties(), name) != want {
			t.Errorf("%s: listed as known: %t", name, !want)
		}
	}
	if got := k.Property(&leadv1.Profile{}, "url", "https://x.example/a?email=ann#b"); got != "https://x.example/a" {
		t.Errorf("got %q", got)
	}
}

func TestAWrongFactsFileIsToldWhereAndWhatToDo(t *testing.T) {
	for text, want := range map[string]string{
		"attributes: [plan, billing_email]": `facts.yaml:1:20: "billing_email" names something of one person`,
		"properties: ['']":                  "facts.yaml:1:15: a name is empty",
		"attribute: [plan]":                 `facts.yaml:1:1: unknown field "attribute"`,
	} {
		if _, err := Parse("facts.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v, want\n%s", text, err, want)
		}
	}
}
