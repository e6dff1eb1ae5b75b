package source

import (
	"strings"
	"testing"
)

func TestAddingAndRotatingKeepsTheRestOfTheFile(t *testing.T) {
	const before = "# who may send\nsources:\n  shop: # our shop\n    keys: [sha256:" + sum + "] # for tests\n"
	key := NewKey{Sum: strings.Repeat("ab", 32), Prefix: "nk_shop_abcd", Created: "2026-11-25"}
	raw, err := Added("s.yaml", []byte(before), Entry{Name: "ads", Kind: "google_ads", SecretEnv: "ADS_SECRET"})
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

func second(_ []byte, err error) error { return err }
