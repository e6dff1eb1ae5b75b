package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sum = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"

func TestTheExampleIsRightAndItsKeysOpen(t *testing.T) {
	file := filepath.Join("..", "..", "..", "..", "deploy", "example", "sources.yaml")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	set, err := Parse(file, raw)
	if err != nil {
		t.Fatal(err)
	}
	src, ok := set.Keyed("website-write-key")
	if !ok || src.Name != "website" || src.Form == nil || src.Country != "DE" {
		t.Fatalf("key opens %v", src)
	}
	if _, ok := set.Keyed(""); ok {
		t.Error("no key opens something")
	}
	if form, activity := src.Form.Means("Ask Demo"); form != "ask_demo" || activity != "demo_requested" {
		t.Errorf("the form is %q, %q", form, activity)
	}
	if form, activity := src.Form.Means(""); form != "website" || activity != "form_submitted" {
		t.Errorf("the form is %q, %q", form, activity)
	}
}

func TestAMistakeNamesItsPlaceAndWhatWasExpected(t *testing.T) {
	for _, tc := range []struct{ name, yaml, says string }{
		{"nothing", "", "s.yaml"},
		{"unknown field", "sources:\n  a:\n    titel: x\n", "3"},
		{"bad key", "sources:\n  a:\n    keys:\n      - secret\n", "s.yaml:4:9: expected a key as sha256:"},
		{"three keys", fmt.Sprintf("sources:\n  a:\n    keys: [sha256:%s, sha256:%s, sha256:%s]\n", sum, sum, sum), "at most 2"},
		{"bad name", "sources:\n  A B:\n    title: x\n", "lower-case"},
		{"bad country", "sources:\n  a:\n    country: Atlantis\n", "s.yaml:3:14"},
		{"bad redirect", "sources:\n  a:\n    form:\n      redirect: /thanks\n", "s.yaml:4:17: expected an address"},
		{"bad allow", "sources:\n  a:\n    form:\n      allow_redirects: ['javascript:x']\n", "s.yaml:4"},
		{"consent without words", "sources:\n  a:\n    form:\n      consents:\n        - field: c\n          purpose: p\n", "exact words"},
	} {
		_, err := Parse("s.yaml", []byte(tc.yaml))
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, expected %q", tc.name, err, tc.says)
		}
	}
}

func TestOnlyListedPagesMaySend(t *testing.T) {
	set, err := Parse("s.yaml", []byte("sources:\n  a:\n    origins: [https://www.example.com/]\n  b: {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := set.Named("a")
	b, _ := set.Named("b")
	for origin, want := range map[string]bool{"": true, "https://WWW.example.com": true, "https://evil.example": false, "null": false} {
		if a.Admits(origin) != want || !b.Admits(origin) {
			t.Errorf("%q: %t, expected %t; a source without a list admits all", origin, a.Admits(origin), want)
		}
	}
}
