package normal

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// The corner cases of addresses, and what we decided (docs/input.md).
func TestTheCornerCasesOfAddressesAreDecided(t *testing.T) {
	long := strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + ".example"
	for _, tc := range []struct{ why, raw, want string }{
		{"a tag stays", "jo+news@acme.example", "jo+news@acme.example"},
		{"dots stay: not every host ignores them", "j.o@gmail.com", "j.o@gmail.com"},
		{"every character that RFC 5322 lets stand alone", "!#$%&'*+/=?^_`{|}~-@acme.example", "!#$%&'*+/=?^_`{|}~-@acme.example"},
		{"one character", "j@acme.example", "j@acme.example"},
		{"digits only", "12345@acme.example", "12345@acme.example"},
		{"64 bytes before the @", strings.Repeat("a", 64) + "@acme.example", strings.Repeat("a", 64) + "@acme.example"},
		{"65 bytes before the @", strings.Repeat("a", 65) + "@acme.example", ""},
		{"more than 254 bytes in all", strings.Repeat("a", 64) + "@" + long, ""},
		{"a label of more than 63 bytes", "jo@" + strings.Repeat("a", 64) + ".example", ""},
		{"capitals", "JO@ACME.EXAMPLE", "jo@acme.example"},
		{"white space around", "\t jo@acme.example \r\n", "jo@acme.example"},
		{"no-break space around", "\u00a0jo@acme.example\u00a0", "jo@acme.example"},
		{"copied with a zero width space", "jo\u200b@acme.example", "jo@acme.example"},
		{"copied with a byte order mark", "\ufeffjo@acme.example", "jo@acme.example"},
		{"copied with a soft hyphen", "jo@ac\u00adme.example", "jo@acme.example"},
		{"turned around", "\u202ejo@acme.example\u202c", "jo@acme.example"},
		{"decomposed letters are the composed ones", "jo\u0308rg@acme.example", "j\u00f6rg@acme.example"},
		{"an international domain", "jo@B\u00dcCHER.example", "jo@xn--bcher-kva.example"},
		{"the same in punycode", "jo@XN--BCHER-KVA.example", "jo@xn--bcher-kva.example"},
		{"punycode that means nothing", "jo@xn--a.example", ""},
		{"full-width letters of a domain", "jo@\uff41cme.example", "jo@acme.example"},
		{"an ideographic full stop", "jo@acme\u3002example", "jo@acme.example"},
		{"the root's dot", "jo@acme.example.", "jo@acme.example"},
		{"a new top-level domain", "jo@acme.photography", "jo@acme.photography"},
		{"an international top-level domain", "jo@acme.\u4e2d\u56fd", "jo@acme.xn--fiqs8s"},
		{"a subdomain of many labels", "jo@a.b.c.d.e.example", "jo@a.b.c.d.e.example"},
		{"from a link", "mailto:jo@acme.example", "jo@acme.example"},
		{"in angle brackets", "<jo@acme.example>", "jo@acme.example"},
		{"with a name before it", "Jo Doe <jo@acme.example>", ""},
		{"quoted", `"jo doe"@acme.example`, ""},
		{"quoted with an @", `"jo@doe"@acme.example`, ""},
		{"with a comment", "jo(home)@acme.example", ""},
		{"an address of the internet", "jo@[192.0.2.1]", ""},
		{"an address of IPv6", "jo@[IPv6:2001:db8::1]", ""},
		{"a number for a domain", "jo@192.0.2.1", ""},
		{"a host without a domain", "root@localhost", ""},
		{"a top-level domain alone", "jo@com", ""},
		{"a top-level domain of one letter", "jo@acme.x", ""},
		{"two at once", "jo@acme.example,kim@acme.example", ""},
		{"two with a semicolon", "jo@acme.example;kim@acme.example", ""},
		{"two @", "jo@@acme.example", ""},
		{"a blank inside", "jo @acme.example", ""},
		{"a line break inside: nobody writes headers into our mails", "jo@acme.example\r\nBcc: kim@acme.example", ""},
		{"an escaped line break", "jo%0d%0abcc:kim@acme.example", ""},
		{"a null", "jo\x00@acme.example", ""},
		{"no UTF-8", "jo\xff@acme.example", ""},
		{"an underscore in a domain", "jo@ac_me.example", ""},
		{"a hyphen first", "jo@-acme.example", ""},
		{"a hyphen last", "jo@acme-.example", ""},
		{"an empty label", "jo@acme..example", ""},
		{"a dot first", ".jo@acme.example", ""},
		{"a dot last", "jo.@acme.example", ""},
		{"two dots", "j..o@acme.example", ""},
		{"a web page", "https://acme.example/jo", ""},
		{"emoji before the @", "\U0001f600@acme.example", "\U0001f600@acme.example"},
		{"nothing", "", ""},
		{"only blanks", "   ", ""},
		{"only an @", "@", ""},
		{"the word none", "none", ""},
		{"n/a", "n/a", ""},
		{"null", "null", ""},
		{"undefined", "undefined", ""},
	} {
		got, err := Email(tc.raw)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s: %q became %q, %v; expected %q", tc.why, tc.raw, got, err, tc.want)
		}
	}
}

// What people, scanners and broken programs write into fields.
func naughty() map[string]string {
	return map[string]string{ // raw: what a field of one line keeps
		"":                                 "",
		"undefined":                        "undefined",
		"NULL":                             "NULL",
		"-1E+02":                           "-1E+02",
		"0x":                               "0x",
		"\x00\x01\x02\x1b[31m":             "[31m",
		"a\u0085b":                         "a b",
		"\u2028line\u2029break":            "line break",
		"\u00a0":                           "",
		"\ufeffJo":                         "Jo",
		"\u202etfel ot thgir\u202c and on": "tfel ot thgir and on",
		"\u2066hidden\u2069":               "hidden",
		"Z\u0351\u036b\u036aa":             "Z\u0351\u036b\u036aa",
		"\u200bzero\u200bwidth":            "zerowidth",
		"\U0001f468\u200d\U0001f469\u200d\U0001f467":       "\U0001f468\u200d\U0001f469\u200d\U0001f467",
		"\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
		"\uac01":                     "\uac01",
		"\u1100\u1161\u11a8":         "\uac01",
		"e\u0301":                    "\u00e9",
		"\xed\xa0\x80":               "",
		"\xf0\x28\x8c":               "(",
		"<script>alert(1)</script>":  "<script>alert(1)</script>",
		"'; DROP TABLE leads; --":    "'; DROP TABLE leads; --",
		"=cmd|' /C calc'!A0":         "=cmd|' /C calc'!A0",
		"{{ lead.email }}":           "{{ lead.email }}",
		"${jndi:ldap://example.com}": "${jndi:ldap://example.com}",
		"%s%n%x":                     "%s%n%x",
		"../../etc/passwd":           "../../etc/passwd",
		"Robert\r\nBcc: x@y.example": "Robert Bcc: x@y.example",
		"\U0001f1e9\U0001f1ea":       "\U0001f1e9\U0001f1ea",
		"\u00df\u0130\u0131":         "\u00df\u0130\u0131",
	}
}

func TestNaughtyWordsAreKeptAsWordsAndNothingElse(t *testing.T) {
	for raw, want := range naughty() {
		if got := Text(raw, 200); got != want {
			t.Errorf("%q became %q, expected %q", raw, got, want)
		}
	}
}

// sound reports what is wrong with a text that was made plain.
func sound(text string, limit int) string {
	switch {
	case len(text) > limit:
		return "is too long"
	case !utf8.ValidString(text):
		return "is not UTF-8"
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unseen(r) }):
		return "has characters that nobody sees"
	case text != strings.TrimLeftFunc(text, unicode.IsSpace) || strings.Contains(text, "  "):
		return "has blanks too many"
	}
	return ""
}

func FuzzText(f *testing.F) {
	for raw := range naughty() {
		f.Add(raw, 20)
	}
	f.Fuzz(func(t *testing.T, raw string, limit int) {
		limit = max(limit%300, 0)
		if limit < 0 {
			limit = 0
		}
		once := Text(raw, limit)
		if wrong := sound(once, limit); wrong != "" {
			t.Errorf("%q became %q, which %s", raw, once, wrong)
		}
		if twice := Text(once, limit); strings.TrimSpace(twice) != strings.TrimSpace(once) {
			t.Errorf("%q became %q, and then %q", raw, once, twice)
		}
		_, _ = SplitName(raw)
		if name := SnakeCase(raw); strings.ContainsAny(name, " -.") || strings.HasPrefix(name, "_") {
			t.Errorf("the event %q is called %q", raw, name)
		}
	})
}

func FuzzEmail(f *testing.F) {
	for _, raw := range []string{"Jo@Acme.Example", "<jo@b\u00fccher.example>", "jo\u0308@xn--bcher-kva.example.", "\"a b\"@c.de", "jo@[::1]", "mailto:mailto:a@b.co", "jo@acme\u3002example", "\u200bj\u00ado@a.co"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once, err := Email(raw)
		if err != nil {
			return
		}
		local, domain, _ := strings.Cut(once, "@")
		if len(once) > maxEmail || local == "" || !simpleHost(strings.ReplaceAll(domain, "xn--", "xn")) || strings.ContainsFunc(once, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r) || unseen(r)
		}) {
			t.Errorf("%q became %q", raw, once)
		}
		if twice, err := Email(once); err != nil || twice != once {
			t.Errorf("%q became %q, and then %q, %v", raw, once, twice, err)
		}
		if d := CompanyDomain(once, ""); d != "" && !strings.HasSuffix(domain, d) {
			t.Errorf("the company of %q is %q", once, d)
		}
	})
}

func FuzzPhone(f *testing.F) {
	for _, seed := range [][2]string{{"030 901820", "DE"}, {"+49 (30) 901820", ""}, {"0049;ext=1", ""}, {"tel:+1-650-253-0000;phone-context=+1", "US"}, {"\u0660\u0661", "EG"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, raw, country string) {
		once, err := Phone(raw, country)
		if err != nil {
			return
		}
		if !strings.HasPrefix(once, "+") || len(once) > 16 || !isDigits(once[1:]) {
			t.Errorf("%q became %q", raw, once)
		}
		if twice, err := Phone(once, ""); err != nil || twice != once {
			t.Errorf("%q became %q, and then %q, %v", raw, once, twice, err)
		}
	})
}
