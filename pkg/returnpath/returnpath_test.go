package returnpath_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/returnpath"
)

const touch = "0197a1b2c3d47e5f8091a2b3c4d5e6f7-t12"

func signer(t testing.TB, keys ...string) *returnpath.Signer {
	t.Helper()
	s, err := returnpath.NewSigner(keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func key(c string) string { return strings.Repeat(c, 64) }

func TestATouchNamesItsLead(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		touch:                           "0197a1b2c3d47e5f8091a2b3c4d5e6f7",
		"lead-t1-t2":                    "lead-t1",
		"lead":                          "",
		"-t1":                           "",
		"lead-t0":                       "",
		"lead-t01":                      "",
		"lead-t+1":                      "",
		"lead-t":                        "",
		"le ad-t1":                      "",
		"lead-t99999999999":             "",
		strings.Repeat("x", 90) + "-t1": "",
	} {
		if got, ok := returnpath.Lead(id); got != want || ok != (want != "") {
			t.Errorf("%q is of %q, want %q", id, got, want)
		}
	}
}

func TestOnlyOurMessageIDsNameATouch(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"<" + touch + "@acme.example>": touch,
		" " + touch + "@acme.example ": touch,
		"<abc@mail.example>":           "",
		touch:                          "",
		"":                             "",
	} {
		if got := returnpath.Touch(id); got != want {
			t.Errorf("%q names %q, want %q", id, got, want)
		}
	}
}

func TestAReturnAddressFitsAndComesBackInAnyCase(t *testing.T) {
	t.Parallel()
	s := signer(t, key("ab"))
	address, ok := s.Address(returnpath.Bounce, touch, "bounce.acme.example")
	if !ok {
		t.Fatal("the address of an ordinary touch does not fit")
	}
	for _, a := range []string{address, strings.ToUpper(address), strings.ToLower(address) + "."} {
		box, token, domain := returnpath.Split(a)
		got, ok := s.Verify(token)
		if box != "bounce" || domain != "bounce.acme.example" || !ok || got != touch {
			t.Errorf("%q: box %q, domain %q, touch %q, verified %t", a, box, domain, got, ok)
		}
	}
	if _, ok := s.Address(returnpath.Bounce, strings.Repeat("x", 60)+"-t1", "x.example"); ok {
		t.Error("an address beyond 64 bytes was made")
	}
}

func TestNobodyCanMakeAReturnAddressForAnother(t *testing.T) {
	t.Parallel()
	s := signer(t, key("ab"))
	token := s.Token(touch)
	for name, forged := range map[string]string{
		"another touch":  strings.Replace(token, "-t12-", "-t13-", 1),
		"another lead":   "f" + token[1:],
		"no signature":   touch,
		"empty":          "",
		"cut":            token[:len(token)-1],
		"another's key":  signer(t, key("cd")).Token(touch),
		"wrong divider":  strings.Replace(token, "-t12-", "-t12_", 1),
		"only signature": token[len(token)-16:],
	} {
		if got, ok := s.Verify(forged); ok {
			t.Errorf("%s: %q was believed as %q", name, forged, got)
		}
	}
}

func TestAReplacedKeyStillReadsOldMails(t *testing.T) {
	t.Parallel()
	old := signer(t, key("ab"))
	both := signer(t, key("cd"), key("ab"))
	if got, ok := both.Verify(old.Token(touch)); !ok || got != touch {
		t.Error("a mail sent under the old key is not recognised")
	}
	if _, ok := old.Verify(both.Token(touch)); ok {
		t.Error("the new key does not sign")
	}
	for _, bad := range [][]string{nil, {"short"}, {strings.Repeat("!", 64)}} {
		if _, err := returnpath.NewSigner(bad); err == nil {
			t.Errorf("keys %v were accepted", bad)
		}
	}
}

func TestATokenIsFoundInAQuotedMail(t *testing.T) {
	t.Parallel()
	s := signer(t, key("ab"))
	quoted := "a+b@c\r\nReturn-Path: <bounce+" + s.Token(touch) + "@bounce.acme.example>\r\nTo: jo+news@example.com"
	if got, ok := s.Find(quoted); !ok || got != touch {
		t.Errorf("found %q, %t", got, ok)
	}
	if got, ok := s.Find("bounce+" + touch + "-aaaaaaaaaaaaaaaa@bounce.acme.example"); ok {
		t.Errorf("a forged one was found: %q", got)
	}
}

func TestWhateverIsWrittenNothingButOurOwnVerifies(t *testing.T) {
	t.Parallel()
	s := signer(t, key("ab"))
	rapid.Check(t, func(rt *rapid.T) {
		lead := rapid.StringMatching(`[a-z0-9_-]{1,40}`).Draw(rt, "lead")
		id := lead + "-t" + rapid.StringMatching(`[1-9][0-9]{0,4}`).Draw(rt, "n")
		if got, ok := s.Verify(s.Token(id)); !ok || got != id {
			rt.Fatalf("%q came back as %q, %t", id, got, ok)
		}
		if got, ok := s.Verify(rapid.String().Draw(rt, "noise")); ok {
			rt.Fatalf("noise verified as %q", got)
		}
	})
}

func FuzzFind(f *testing.F) {
	s := signer(f, key("ab"))
	f.Add("bounce+" + s.Token(touch) + "@bounce.acme.example")
	f.Add("++++" + strings.Repeat("a-t1", 99))
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := s.Find(text); ok && !strings.Contains(strings.ToLower(text), strings.ToLower(got)) {
			t.Errorf("%q was found in a text without it", got)
		}
	})
}
