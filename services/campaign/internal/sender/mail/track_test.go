package mail

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAddressesInTextAreWhatTheExpressionSays(t *testing.T) {
	t.Parallel()
	says := regexp.MustCompile(`https?://[^\s<>"]*[^\s<>".,;:!?)\]']`)
	word := rapid.SampledFrom([]string{
		"http", "https", "://", "a.example", "/p?q=1", ".", ",", ")", "]", "'", "!", "?", ";", ":", " ", "\n", "\t", "<", ">", "\"", "s", "h", "é", "\v", "\u00a0",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(word, 0, 24).Draw(t, "words"), "")
		var got []string
		all := trackText(text, func(string) bool { return false }, func(url string) string { got = append(got, url); return "[" + url + "]" })
		want := says.ReplaceAllStringFunc(text, func(url string) string {
			if got := trackText(url, func(string) bool { return false }, func(string) string { return "!" }); got == "!" {
				return "[" + url + "]"
			}
			return url
		})
		if all != want {
			t.Fatalf("%q became %q, want %q", text, all, want)
		}
	})
}

func TestThePixelStandsAtTheEndOfTheBody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"<p>a</p>":                      "<p>a</p>X",
		"<body>a</BODY></html>":         "<body>aX</BODY></html>",
		"</body>b</Body> </p></bod":     "</body>bX</Body> </p></bod",
		"":                              "X",
		"</":                            "</X",
		"ſ</body>":                      "ſX</body>",
		"<body>K</body >":               "<body>K</body >X",
		"<body>a</body></body></body\n": "<body>a</body>X</body></body\n",
	} {
		if got := addLast(text, "X"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
