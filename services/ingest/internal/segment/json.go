package segment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
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

// values is an object of anything. What is no object counts as none.
type values map[string]any

// UnmarshalJSON takes an object; a list or a plain value is taken for none.
func (v *values) UnmarshalJSON(raw []byte) error {
	if raw[0] != '{' {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode((*map[string]any)(v))
}

// text gives a plain value of the object as text; empty when there is none.
func (v values) text(name string) string {
	switch x := v[name].(type) {
	case map[string]any, []any:
		return ""
	default:
		return plain(x)
	}
}

// strings gives all values as text, objects and lists as JSON.
func (v values) strings() map[string]string {
	m := make(map[string]string, len(v)+4)
	for name, x := range v {
		if s := plain(x); s != "" {
			m[name] = s
		}
	}
	return m
}

// plain writes a value of JSON as text.
func plain(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case json.Number:
		return x.String()
	case bool:
		return strconv.FormatBool(x)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}
