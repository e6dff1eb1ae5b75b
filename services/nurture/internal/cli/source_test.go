package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestASourceIsEnteredAndItsKeyRotated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sources.yaml")
	if err := os.WriteFile(file, []byte("sources:\n  first: {form: {}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := regexp.MustCompile(`nk_shop_[0-9a-f]{40}`)
	for _, step := range []struct {
		args   string
		says   string // of the answer, or of the error
		fails  bool
		stands string // in the file afterwards
		not    string
	}{
		{args: "create shop --title Shop --form", says: "Write key, shown only now: nk_shop_", stands: "title: Shop"},
		{args: "create shop", says: `there is a source "shop" already`, fails: true},
		{args: "rotate shop", says: "New write key of shop, shown only now: nk_shop_", stands: "prefix: nk_shop_"},
		{args: "rotate shop", says: "has 2 keys already", fails: true},
		{args: "rotate shop --drop-old", says: "dropped the old key"},
		{args: "create ads --kind google_ads", says: "ADS_SECRET=", stands: "env: ADS_SECRET"},
		{args: "create partner --kind webhook", says: "PARTNER_SECRET=whsec_", stands: "env: PARTNER_SECRET"},
		{args: "create mails --kind sendgrid", says: "MAILS_SECRET=<what its sender shows", stands: "env: MAILS_SECRET"},
		{args: "create leads --kind meta", says: "LEADS_VERIFY_TOKEN=<verify_token>", stands: "env: LEADS_ACCESS_TOKEN"},
		{args: "create aws --kind ses", says: "needs options: {topic_arn", fails: true, not: "aws"},
		{args: "create aws --kind ses --option topic_arn=arn:aws:sns:eu:1:m", says: "It has no secret", stands: `topic_arn: "arn:aws:sns:eu:1:m"`, not: "AWS_SECRET"},
		{args: "create odd --kind telepathy", says: "is not known", fails: true, not: "odd"},
	} {
		out, err := call(t.Context(), append(append([]string{"source"}, strings.Fields(step.args)...), "--file", file)...)
		if err != nil {
			out = err.Error()
		}
		if (err != nil) != step.fails || !strings.Contains(out, step.says) {
			t.Errorf("%s: %q, expected %q", step.args, out, step.says)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(raw), step.stands) || step.not != "" && strings.Contains(string(raw), step.not) {
			t.Errorf("%s: the file should have %q and not %q:\n%s", step.args, step.stands, step.not, raw)
		}
		if made := key.FindString(out); made != "" && strings.Contains(string(raw), made) || strings.Contains(string(raw), "whsec_") {
			t.Errorf("%s: the secret itself is in the file", step.args)
		}
	}
}
