package reject

import "strings"

// shown is how much of the beginning is shown, in bytes.
const shown = 160

// Beginning shows what something that was sent looks like, without saying what
// it says: names of fields stay, of values only their shape. Where it is not
// clear which is which, all is blotted out.
func Beginning(raw []byte, contentType string) string {
	text := string(raw[:min(len(raw), shown)])
	switch {
	case strings.HasPrefix(strings.TrimLeft(text, " \r\n\t"), "{"), strings.HasPrefix(strings.TrimLeft(text, " \r\n\t"), "["):
		return blotJSON(text)
	case strings.HasPrefix(contentType, "application/x-www-form-urlencoded"):
		return blotForm(text)
	}
	return blot(text)
}

// blot keeps the shape: letters become x, digits 0, what cannot be shown a dot.
func blot(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return '0'
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r > 0x7f && r != '\ufffd':
			return 'x'
		case r < ' ' && r != '\n' || r >= 0x7f:
			return '.'
		}
		return r
	}, s)
}

func blotForm(s string) string {
	pairs := strings.Split(s, "&")
	for i, p := range pairs {
		name, value, ok := strings.Cut(p, "=")
		if !ok || !plain(name) {
			pairs[i] = blot(p)
			continue
		}
		pairs[i] = name + "=" + blot(value)
	}
	return strings.Join(pairs, "&")
}

// blotJSON keeps the strings that a colon follows.
func blotJSON(s string) string {
	var b strings.Builder
	for s != "" {
		start := strings.IndexByte(s, '"')
		if start < 0 {
			b.WriteString(blot(s))
			break
		}
		b.WriteString(blot(s[:start]))
		s = s[start+1:]
		end := closing(s)
		word, rest := s[:end], s[min(end+1, len(s)):]
		if !strings.HasPrefix(strings.TrimLeft(rest, " \r\n\t"), ":") || !plain(word) {
			word = blot(word)
		}
		b.WriteString(`"` + word)
		if end < len(s) {
			b.WriteByte('"')
		}
		s = rest
	}
	return b.String()
}

// closing finds the quote that ends a string; its length when none does.
func closing(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(s)
}

// plain reports whether a name looks like one: an address used as the name of a
// field does not.
func plain(name string) bool {
	if name == "" || len(name) > 40 || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '$'
	})
}
