package letter

import (
	"fmt"
	"html"
	"reflect"
	"slices"
	"strings"

	"github.com/osteele/liquid"
)

// maxValue bounds what a filter may make of a value, in bytes.
const maxValue = 16 << 10

// outFilter is appended to every {{ }} by check; its name cannot be written in
// a template because it is not among the filters allowed there.
const outFilter = "nurture_out"

// rawFilter ends a {{ }} whose value is HTML already.
const rawFilter = "raw"

// filters lists what templates may use.
func filters() []string {
	return []string{
		"append", "capitalize", "ceil", "default", "divided_by", "downcase", "escape", "first", "floor",
		"last", "lstrip", "minus", "modulo", "plus", "prepend", rawFilter, "remove", "replace", "round",
		"rstrip", "size", "slice", "split", "strip", "times", "truncate", "truncatewords", "upcase", "url_encode",
	}
}

// tags lists what templates may use, and their ends.
func tags() []string {
	return []string{
		"assign", "if", "elsif", "else", "endif", "unless", "endunless", "case", "when", "endcase", "comment", "endcomment",
	}
}

func knownFilter(name string) bool { return slices.Contains(filters(), name) }

// newEngine makes an engine whose {{ }} pass through out, and whose growing
// filters are bounded: twice itself a few dozen times is more than any memory.
func newEngine(out func(any) any) *liquid.Engine {
	e := liquid.NewEngine()
	e.StrictVariables()
	e.RegisterFilter(outFilter, out)
	e.RegisterFilter(rawFilter, markRaw)
	e.RegisterFilter("append", func(s, suffix string) (string, error) { return bounded(s + suffix) })
	e.RegisterFilter("prepend", func(s, prefix string) (string, error) { return bounded(prefix + s) })
	e.RegisterFilter("replace", replace)
	e.RegisterFilter("truncate", truncate)
	e.RegisterFilter("truncatewords", truncateWords)
	return e
}

// keep leaves a value as it is; nil stays nil, so that a missing one is an error.
func keep(v any) any { return v }

// markup is a value that is HTML already.
type markup string

func markRaw(v any) any {
	if v == nil {
		return nil
	}
	return markup(fmt.Sprint(v))
}

// escape makes a value safe between tags and inside quoted attributes.
func escape(v any) any {
	if v == nil {
		return nil
	}
	if m, ok := v.(markup); ok {
		return string(m)
	}
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice {
		return html.EscapeString(fmt.Sprint(v))
	}
	var b strings.Builder
	for i := range list.Len() {
		b.WriteString(html.EscapeString(fmt.Sprint(list.Index(i).Interface())))
	}
	return b.String()
}

func bounded(s string) (string, error) {
	if len(s) > maxValue {
		return "", fmt.Errorf("a value grew beyond %d bytes", maxValue)
	}
	return s, nil
}

func replace(s, old, with string) (string, error) {
	if n := strings.Count(s, old); len(s)+n*(len(with)-len(old)) > maxValue {
		return "", fmt.Errorf("a value grew beyond %d bytes", maxValue)
	}
	return strings.ReplaceAll(s, old, with), nil
}

func truncate(s string, length func(int) int, ellipsis func(string) string) string {
	n, more, runes := length(50), ellipsis("..."), []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:max(0, n-len([]rune(more)))]) + more
}

func truncateWords(s string, length func(int) int, ellipsis func(string) string) string {
	words := strings.Fields(s)
	n := max(0, length(15))
	if len(words) <= n {
		return s
	}
	return strings.Join(words[:n], " ") + ellipsis("...")
}
