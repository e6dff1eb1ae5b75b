// Package loose reads JSON as tracking libraries write it: numbers where texts
// are meant, null, clocks in several spellings. Pure.
package loose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxDepth bounds how deep objects and lists of a body may be nested.
const MaxDepth = 32

// ErrDeep refuses a body that is nested deeper.
var ErrDeep = fmt.Errorf("the body nests deeper than %d levels", MaxDepth)

var errNotText = errors.New("expected a string")

// Text is a string that some libraries send as a number or as null.
type Text string

// UnmarshalJSON takes a string, a number, or null.
func (t *Text) UnmarshalJSON(raw []byte) error {
	switch {
	case bytes.Equal(raw, []byte("null")):
		return nil
	case raw[0] == '"':
		return json.Unmarshal(raw, (*string)(t))
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		*t = Text(raw)
		return nil
	}
	return fmt.Errorf("%w, found %.20s", errNotText, raw)
}

// Time is a point in time as libraries write it. One that cannot be read is
// zero: a broken clock is no reason to lose an event.
type Time struct{ time.Time }

// UnmarshalJSON takes RFC 3339, a date, or milliseconds since 1970.
func (s *Time) UnmarshalJSON(raw []byte) error {
	if ms, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		s.Time = time.UnixMilli(ms).UTC()
		return nil
	}
	t := strings.Trim(string(raw), `"`)
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999Z0700", time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, t); err == nil {
			s.Time = at.UTC()
			return nil
		}
	}
	return nil
}

// Object is an object of anything, its values still unread. What is no object
// counts as none.
type Object map[string]json.RawMessage

// UnmarshalJSON takes an object; a list or a plain value is taken for none.
func (v *Object) UnmarshalJSON(raw []byte) error {
	if raw[0] != '{' {
		return nil
	}
	return json.Unmarshal(raw, (*map[string]json.RawMessage)(v))
}

// Object gives a value of the object that is itself one; nil when it is not.
func (v Object) Object(name string) Object {
	raw := v[name]
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	var inner Object
	if json.Unmarshal(raw, &inner) != nil {
		return nil
	}
	return inner
}

// Text gives a plain value of the object as text; empty when there is none.
func (v Object) Text(name string) string {
	raw := v[name]
	if nested(raw) {
		return ""
	}
	return Plain(raw)
}

// flattest is how many levels of objects become names; what lies deeper stays
// JSON.
const flattest = 3

// Flat gives all values as text. Those of objects inside get the names of both,
// like cart_total; lists stay JSON. Where a flat name is also sent as such, the
// one that was sent counts.
func (v Object) Flat() map[string]string {
	m := make(map[string]string, len(v)+4)
	v.flatten("", 1, m)
	return m
}

func (v Object) flatten(prefix string, level int, into map[string]string) {
	var deeper []string
	for name, raw := range v {
		if len(raw) > 0 && raw[0] == '{' && level < flattest {
			deeper = append(deeper, name)
			continue
		}
		if s := Plain(raw); s != "" {
			if _, taken := into[prefix+name]; !taken {
				into[prefix+name] = s
			}
		}
	}
	slices.Sort(deeper) // of two objects that give one name the first counts
	for _, name := range deeper {
		v.Object(name).flatten(prefix+name+"_", level+1, into)
	}
}

// Names lists the names in an object in alphabetical order.
func (v Object) Names() []string { return slices.Sorted(maps.Keys(v)) }

func nested(raw json.RawMessage) bool {
	return len(raw) > 0 && (raw[0] == '{' || raw[0] == '[')
}

// Plain writes a value of JSON as text: numbers as they were sent, objects and
// lists as JSON, null as nothing.
func Plain(raw json.RawMessage) string {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return ""
	case raw[0] != '"':
		return string(raw)
	}
	if inner := raw[1 : len(raw)-1]; unescaped(inner) {
		return string(inner)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// Quote writes a text as JSON.
func Quote(s string) json.RawMessage {
	raw, err := json.Marshal(s)
	if err != nil { // a string can always be written
		return nil
	}
	return raw
}

// unescaped reports whether a JSON string is written as it is meant.
func unescaped(inner []byte) bool {
	return bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner)
}

// Clean leaves out what stands around the JSON of a body and is none of it: white
// space, and the mark that some systems begin a file with.
func Clean(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\ufeff")))
}

// Shallow refuses bodies that nest too deep, before anything recurses.
func Shallow(body []byte) error {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return ErrDeep
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}
