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
	set, err := Parse(file, raw, nil)
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
		_, err := Parse("s.yaml", []byte(tc.yaml), nil)
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, expected %q", tc.name, err, tc.says)
		}
	}
}

func TestOnlyListedPagesMaySend(t *testing.T) {
	set, err := Parse("s.yaml", []byte("sources:\n  a:\n    origins: [https://www.example.com/]\n  b: {}\n"), nil)
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

const hooks = `limits:
  rejects_per_minute: 60
sources:
  forms:
    kind: typeform
    secrets:
      - env: NEW
      - file: old.txt
    fields: {Firma: company}
    consent:
      purpose: Marketing Email
      text: Yes, write to me.
    limits:
      events_per_second: 5
      share: 0.1
`

func TestASourceOfWebhooksHasSecretsConsentAndLimits(t *testing.T) {
	read := func(ref Ref) (string, error) { return "secret of " + ref.Env + ref.File, nil }
	set, err := Parse("s.yaml", []byte(hooks), read)
	if err != nil {
		t.Fatal(err)
	}
	src, _ := set.Named("forms")
	if got := strings.Join(src.Secrets, "|"); got != "secret of NEW|secret of old.txt" {
		t.Errorf("secrets %q", got)
	}
	if src.Kind != "typeform" || src.Fields["firma"] != "company" || src.Consent.Purpose != "marketing_email" || src.Consent.Basis != "consent" {
		t.Errorf("read as %+v, %+v", src, src.Consent)
	}
	want := DefaultLimits()
	want.Rate, want.Share, want.Rejects = 5, 0.1, 60
	if src.Limits != want {
		t.Errorf("limits %+v, expected %+v", src.Limits, want)
	}
}

func TestAWrongWebhookSaysWhatItsKindExpects(t *testing.T) {
	read := func(ref Ref) (string, error) { return "", fmt.Errorf("there is no %s%s", ref.Env, ref.File) }
	for _, tc := range []struct{ name, yaml, says string }{
		{"unknown kind", "sources:\n  a:\n    kind: telepathy\n", `s.yaml:3:11: kind "telepathy" is not known; expected one of cloudevents, crm`},
		{"no secret", "sources:\n  a:\n    kind: typeform\n", "s.yaml:3:11: source a needs secrets"},
		{"inline secret", "sources:\n  a:\n    kind: typeform\n    secrets: [s3cret]\n", "s.yaml:4:15: sources.a.secrets[0]: expected a mapping"},
		{"missing secret", "sources:\n  a:\n    kind: typeform\n    secrets:\n      - env: NOPE\n", "s.yaml:5:14: there is no NOPE"},
		{"two places", "sources:\n  a:\n    kind: typeform\n    secrets: [{env: A, file: b}]\n", "s.yaml:4:21: a secret is kept in one place"},
		{"three secrets", "sources:\n  a:\n    kind: typeform\n    secrets: [{env: A}, {env: B}, {env: C}]\n", "s.yaml:4:41: source a has 3 secrets"},
		{"unknown option", "sources:\n  a:\n    kind: typeform\n    options: {speed: high}\n", "s.yaml:4:22: unknown option \"speed\"; expected one of activity"},
		{"unknown credential", "sources:\n  a:\n    kind: meta\n    credentials: {pin: {env: A}}\n", "s.yaml:4:30: unknown credential \"pin\"; expected one of access_token"},
		{"meta without its token", "sources:\n  a:\n    kind: meta\n    secrets: [{env: A}]\n    credentials: {verify_token: {env: A}}\n", "s.yaml:3:11: source a needs credentials: {access_token"},
		{"ses without its topic", "sources:\n  a:\n    kind: ses\n", "s.yaml:3:11: source a needs options: {topic_arn"},
		{"secret without kind", "sources:\n  a:\n    secrets: [{env: A}]\n", "s.yaml:3:21: source a has secrets but no kind"},
		{"consent without words", "sources:\n  a:\n    consent: {purpose: marketing_email}\n", "s.yaml:3:24: source a: a consent needs text"},
		{"unknown basis", "sources:\n  a:\n    consent: {purpose: x, basis: hope}\n", `s.yaml:3:34: basis "hope" is not known`},
		{"negative limit", "sources:\n  a:\n    limits: {burst: -1}\n", "s.yaml:3:21: sources.a.limits.burst: expected a number above 0"},
		{"more than all", "sources:\n  a:\n    limits: {share: 2}\n", "limits.share is 2"},
		{"bad day of a key", "sources:\n  a:\n    keys:\n      - {sha256: x, created: yesterday}\n", "s.yaml:4:9: sources.a.keys[0]: created: expected a day"},
		{"one key twice", fmt.Sprintf("sources:\n  a: {keys: [sha256:%s]}\n  b: {keys: [sha256:%s]}\n", sum, sum), "s.yaml:3:14: sources a and b have the same key"},
	} {
		_, err := Parse("s.yaml", []byte(tc.yaml), read)
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, expected %q", tc.name, err, tc.says)
		}
	}
}

func TestTheSecretsNeedNotBeThereToCheckTheFile(t *testing.T) {
	if _, err := Parse("s.yaml", []byte(hooks), nil); err != nil {
		t.Error(err)
	}
}
