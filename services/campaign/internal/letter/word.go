package letter

import (
	"errors"
	"slices"
	"strings"
)

type wordKind int

const (
	nameWord wordKind = iota + 1
	filterWord
	otherWord
)

// word is one piece of an expression: a variable's path, a filter's name, or
// anything else (literals, operators, punctuation).
type word struct {
	kind wordKind
	text string
	// at is where it stands in the expression.
	at int
}

// split takes a Liquid expression apart as far as names are concerned.
func split(text string) ([]word, error) {
	var words []word
	filterNext := false
	for i := 0; i < len(text); {
		switch ch := text[i]; {
		case ch == '"' || ch == '\'':
			end := strings.IndexByte(text[i+1:], ch)
			if end < 0 {
				return nil, errors.New("a quoted text is never closed")
			}
			words = append(words, word{otherWord, text[i : i+end+2], i})
			i += end + 2
		case isLetter(ch):
			name := nameAt(text[i:])
			words = append(words, word{classify(name, filterNext), name, i})
			i += len(name)
			filterNext = false
		default:
			if ch == '[' {
				return nil, errors.New("brackets are not available in mails; write lead.attributes.name")
			}
			if ch == '|' {
				filterNext = true
				words = append(words, word{otherWord, "|", i})
			}
			i++
		}
	}
	return words, nil
}

func classify(name string, filter bool) wordKind {
	switch {
	case filter:
		return filterWord
	case slices.Contains([]string{"true", "false", "nil", "null", "empty", "blank", "and", "or", "contains", "in"}, name):
		return otherWord
	default:
		return nameWord
	}
}

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func nameAt(text string) string {
	for i := range len(text) {
		c := text[i]
		if !isLetter(c) && (c < '0' || c > '9') && c != '.' && c != '-' {
			return text[:i]
		}
	}
	return text
}

// followedByDefault reports whether the first filter after a variable is default.
func followedByDefault(rest []word) bool {
	for _, w := range rest {
		if w.kind == filterWord {
			return w.text == "default"
		}
		if w.text != "|" {
			return false
		}
	}
	return false
}
