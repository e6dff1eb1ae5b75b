package segment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// text is a string that some libraries send as a number or as null.
type text string

// UnmarshalJSON takes a string, a number, or null.
func (t *text) UnmarshalJSON(raw []byte) error {
	switch {
	case bytes.Equal(raw, []byte("null")):
		return nil
	case raw[0] == '"':
		return json.Unmarshal(raw, (*string)(t))
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		*t = text(raw)
		return nil
	}
	return fmt.Errorf("expected a string, found %.20s", raw)
}

// stamp is a point in time as libraries write it. One that cannot be read is
// zero: a broken clock is no reason to lose an event.
type stamp struct{ time.Time }

// UnmarshalJSON takes RFC 3339, a date, or milliseconds since 1970.
func (s *stamp) UnmarshalJSON(raw []byte) error {
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

// values is an object of anything, its values still unread. What is no object
// counts as none.
type values map[string]json.RawMessage

// UnmarshalJSON takes an object; a list or a plain value is taken for none.
func (v *values) UnmarshalJSON(raw []byte) error {
	if raw[0] != '{' {
		return nil
	}
	return json.Unmarshal(raw, (*map[string]json.RawMessage)(v))
}

// object gives a value of the object that is itself one; nil when it is not.
func (v values) object(name string) values {
	raw := v[name]
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	var inner values
	if json.Unmarshal(raw, &inner) != nil {
		return nil
	}
	return inner
}

// text gives a plain value of the object as text; empty when there is none.
func (v values) text(name string) string {
	raw := v[name]
	if nested(raw) {
		return ""
	}
	return plain(raw)
}

// strings gives all values as text, objects and lists as JSON.
func (v values) strings() map[string]string {
	m := make(map[string]string, len(v)+4)
	for name, raw := range v {
		if s := plain(raw); s != "" {
			m[name] = s
		}
	}
	return m
}

func nested(raw json.RawMessage) bool {
	return len(raw) > 0 && (raw[0] == '{' || raw[0] == '[')
}

// plain writes a value of JSON as text: numbers as they were sent.
func plain(raw json.RawMessage) string {
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

// unescaped reports whether a JSON string is written as it is meant.
func unescaped(inner []byte) bool {
	return bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner)
}
