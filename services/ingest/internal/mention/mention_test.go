package mention

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAPersonIsFoundHoweverTheyAreWritten(t *testing.T) {
	p := New([]string{"jo@acme.example", "u7", "visitor-12"}, []string{"+4930901820"})
	for text, want := range map[string]bool{
		`{"email":"JO@Acme.example"}`:          true,
		"email=jo%40acme.example&x=1":          true,
		"https://x.example/?e=jo@acme.example": true,
		"bojo@acme.example":                    false,
		"jo@acme.example.org":                  true, // rather one too many
		`{"userId":"u7"}`:                      true,
		`{"userId":"u77"}`:                     false,
		"call (030) 901-820 today":             true,
		"030 901821":                           false,
		base64.StdEncoding.EncodeToString([]byte("xjo@acme.example, hello")): true,
		"nobody": false,
	} {
		if got := p.In([]byte(text)); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

func TestNothingIsMentionedByNobody(t *testing.T) {
	if New([]string{""}, nil).In([]byte("anything 0123456789")) {
		t.Error("nobody was found")
	}
}

func TestEveryEncodingOfAValueIsFoundWhereverItBegins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[a-z0-9]{4,12}@[a-z]{3,9}\.example`).Draw(t, "id")
		before := rapid.StringMatching(`[ -~]{0,9} `).Draw(t, "before")
		after := rapid.StringMatching(` [ -~]{0,9}`).Draw(t, "after")
		text := before + id + after
		p := New([]string{id}, nil)
		for name, form := range map[string]string{
			"raw": text, "upper": strings.ToUpper(text), "query": url.QueryEscape(text), "path": url.PathEscape(text),
			"base64": base64.StdEncoding.EncodeToString([]byte(text)), "base64url": base64.RawURLEncoding.EncodeToString([]byte(text)),
		} {
			if !p.In([]byte(form)) {
				t.Fatalf("%s: %q is not found in %q", name, id, form)
			}
		}
	})
}
