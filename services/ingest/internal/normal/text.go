package normal

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Text drops control characters and those that nobody sees, writes each
// character in its one composed form (NFC), makes every run of white space one blank and
// cuts at a whole character within limit bytes.
func Text(raw string, limit int) string {
	if !plain(raw) {
		raw = norm.NFC.String(squeeze(raw))
	}
	return cut(raw, limit)
}

// Block is Text for longer words: line breaks stay.
func Block(raw string, limit int) string {
	s := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unseen(r) {
			return -1
		}
		return r
	}, raw)
	return cut(norm.NFC.String(strings.TrimSpace(s)), limit)
}

// unseen reports whether a character is not seen, or turns what is seen around:
// marks of direction, of width nothing, of byte order. Those that join letters
// or parts of a sign stay (U+200C, U+200D).
func unseen(r rune) bool {
	return r == utf8.RuneError || unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d'
}

// plain reports whether squeeze would change nothing, for ASCII only.
func plain(s string) bool {
	blank := true
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == ' ' && blank {
			return false
		}
		blank = c == ' '
	}
	return !blank || s == ""
}

func squeeze(s string) string {
	var b strings.Builder
	blank := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			blank = b.Len() > 0
		case unicode.IsControl(r) || unseen(r):
		default:
			if blank {
				b.WriteByte(' ')
				blank = false
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// SplitName gives first and last name of a full one: the last word is the last
// name unless a comma says otherwise.
func SplitName(full string) (first, last string) {
	full = Text(full, maxText)
	if l, f, ok := strings.Cut(full, ","); ok {
		return strings.TrimSpace(f), strings.TrimSpace(l)
	}
	i := strings.LastIndexByte(full, ' ')
	if i < 0 {
		return full, ""
	}
	return full[:i], full[i+1:]
}

// SnakeCase spells the name of an event like ours: "Demo Requested",
// "demoRequested" and "demo-requested" are demo_requested.
func SnakeCase(name string) string {
	var b strings.Builder
	gap, lower := false, false
	for _, r := range Text(name, maxText) {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			gap = b.Len() > 0
			continue
		}
		if gap || unicode.IsUpper(r) && lower {
			b.WriteByte('_')
		}
		gap, lower = false, unicode.IsLower(r) || unicode.IsDigit(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
