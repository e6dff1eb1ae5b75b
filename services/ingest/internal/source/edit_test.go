package source

import (
	"slices"
	"strings"
	"testing"
)

func TestAddingAndRotatingKeepsTheRestOfTheFile(t *testing.T) {
	const before = "# who may send\nsources:\n  shop: # our shop\n    keys: [sha256:" + sum + "] # for tests\n"
	key := NewKey{Sum: strings.Repeat("ab", 32), Prefix: "nk_shop_abcd", Created: "2026-11-25"}
	raw, err := Added("s.yaml", []byte(before), Entry{Name: "ads", Kind: "google_ads"})
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = Rotated("s.yaml", raw, "shop", key); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"# who may send", "# our shop", "# for tests", "env: ADS_SECRET"} {
		if !strings.Contains(string(raw), says) {
			t.Errorf("%q is gone from:\n%s", says, raw)
		}
	}
	set, err := Parse("s.yaml", raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	if src, _ := set.Named("shop"); len(src.Keys) != 2 || src.Keys[0].Prefix != key.Prefix || src.Keys[0].Created != key.Created {
		t.Errorf("keys %+v", src.Keys)
	}
	if _, err := Rotated("s.yaml", raw, "shop", key); err == nil || !strings.Contains(err.Error(), "--drop-old") {
		t.Errorf("a third key: %v", err)
	}
	if raw, err = Dropped("s.yaml", raw, "shop"); err != nil || strings.Contains(string(raw), sum) {
		t.Errorf("the old key stays: %v\n%s", err, raw)
	}
	for _, err := range []error{
		second(Added("s.yaml", raw, Entry{Name: "shop", Key: key})), second(Rotated("s.yaml", raw, "nosuch", key)),
		second(Rotated("s.yaml", raw, "ads", key)), second(Dropped("s.yaml", raw, "shop")),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "s.yaml") {
			t.Errorf("expected an error about the file, got %v", err)
		}
	}
}

func TestTheFirstSourceIsEnteredIntoAnEmptyFile(t *testing.T) {
	key := NewKey{Sum: strings.Repeat("ab", 32), Prefix: "nk_shop_abcd", Created: "2026-11-25"}
	for _, before := range []string{"", "\n", "# who may send", "# who may send\n\n"} {
		raw, err := Added("s.yaml", []byte(before), Entry{Name: "shop", Key: key, Form: true})
		if err != nil || !strings.HasPrefix(string(raw), strings.TrimSpace(before)) {
			t.Fatalf("%q became %v\n%s", before, err, raw)
		}
		if set, err := Parse("s.yaml", raw, nil); err != nil || set.byName["shop"] == nil {
			t.Errorf("%q became %v\n%s", before, err, raw)
		}
	}
	if _, err := Rotated("s.yaml", nil, "shop", key); err == nil || !strings.Contains(err.Error(), "shop") {
		t.Errorf("a key of a source in an empty file: %v", err)
	}
}

func second(_ []byte, err error) error { return err }

// What create writes for a kind is enough for it: ingest takes the file once the
// variables are there, and no secret is in it.
func TestAnEntryOfEveryKindHasWhatItsKindNeeds(t *testing.T) {
	before := []byte("sources: {first: {}}\n")
	for kind, k := range Kinds() {
		e := Entry{Name: "new-one", Kind: kind}
		if slices.Contains(k.Needs, "topic_arn") {
			if _, err := Added("s.yaml", before, e); err == nil || !strings.Contains(err.Error(), "topic_arn") {
				t.Errorf("%s without a topic: %v", kind, err)
			}
			e.Options = map[string]string{"topic_arn": "arn:aws:sns:eu-central-1:1:mail"}
		}
		raw, err := Added("s.yaml", before, e)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		set, err := Parse("s.yaml", raw, func(ref Ref) (string, error) { return "value of " + ref.Env, nil })
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		src, _ := set.Named("new-one")
		if k.Secret != slices.Equal(src.Secrets, []string{"value of NEW_ONE_SECRET"}) || e.Options["topic_arn"] != src.Options["topic_arn"] {
			t.Errorf("%s: read as %+v from\n%s", kind, src, raw)
		}
		for name, variable := range e.Credentials() {
			if src.Credentials[name] != "value of "+variable {
				t.Errorf("%s: credential %s is %q", kind, name, src.Credentials[name])
			}
		}
	}
}
