package web

import (
	"strings"
	"testing"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/segment"
)

// TestTheCornerCasesOfJSONAreDecided holds docs/input.md to its word: what the
// three readers of JSON take, as a letter each: tracking, form, webhook. The %s
// stands for what makes an event of each.
func TestTheCornerCasesOfJSONAreDecided(t *testing.T) {
	const all = "tfw"
	readers := map[string]func(string) bool{
		"t": func(s string) bool {
			env, err := segment.Open([]byte(strings.ReplaceAll(s, "%s", `"type":"track","userId":"u","event":"e"`)), "")
			return err == nil && env.Read(segment.From{Source: "s"})[0].Submission != nil
		},
		"f": func(s string) bool {
			_, err := parseForm("application/json", "application/json", []byte(strings.ReplaceAll(s, "%s", `"email":"jo@acme.example"`)))
			return err == nil
		},
		"w": func(s string) bool {
			_, err := hook.ParseObject([]byte(strings.ReplaceAll(s, "%s", `"email":"jo@acme.example"`)))
			return err == nil
		},
	}
	for _, tc := range []struct{ why, body, taken string }{
		{"an object", `{%s}`, all},
		{"white space around", " \r\n\t{%s}\n", all},
		{"a byte order mark before it", "\ufeff{%s}", all},
		{"an unknown name", `{%s,"x":{"y":[1,2]}}`, "tw"}, // a form has no objects inside
		{"a name twice: the last counts", `{%s,"x":1,"x":2}`, all},
		{"a number of a hundred digits", `{%s,"x":` + strings.Repeat("9", 100) + `}`, all},
		{"a number beyond any float", `{%s,"x":1e999}`, all},
		{"an escaped null", `{%s,"x":"a\u0000b"}`, all},
		{"half a surrogate pair", `{%s,"x":"\ud800"}`, all},
		{"a name that is empty", `{%s,"":1}`, all},
		{"a name of JavaScript", `{%s,"__proto__":"x"}`, all},
		{"bytes that are no UTF-8: their place is left empty, but what was signed must be right", "{%s,\"x\":\"\xff\"}", "tf"},
		{"31 lists in each other", `{%s,"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, all},
		{"32 lists in each other", `{%s,"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, ""},
		{"brackets in a text are no depth", `{%s,"x":"` + strings.Repeat("[", 99) + `"}`, all},
		{"a comma too many", `{%s,}`, ""},
		{"a comment", `{%s/*x*/}`, ""},
		{"single quotes", `{%s,'x':1}`, ""},
		{"a name without quotes", `{%s,x:1}`, ""},
		{"NaN", `{%s,"x":NaN}`, ""},
		{"a number with a zero before it", `{%s,"x":01}`, ""},
		{"a number with a plus", `{%s,"x":+1}`, ""},
		{"a hexadecimal number", `{%s,"x":0x1}`, ""},
		{"a line break in a text", "{%s,\"x\":\"a\nb\"}", ""},
		{"an unknown escape", `{%s,"x":"\x41"}`, ""},
		{"something behind it", `{%s} x`, ""},
		{"two objects", `{%s}{%s}`, ""},
		{"no end", `{%s`, ""},
		{"a list", `[{%s}]`, ""},
		{"a text", `"x"`, ""},
		{"null", `null`, ""},
		{"nothing", ``, ""},
		{"UTF-16", "{\x00%s}\x00", ""},
	} {
		taken := ""
		for _, name := range strings.Split(all, "") {
			if readers[name](tc.body) {
				taken += name
			}
		}
		if taken != tc.taken {
			t.Errorf("%s: taken by %q, expected %q", tc.why, taken, tc.taken)
		}
	}
}
