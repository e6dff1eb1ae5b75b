package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nurturehq/nurture/services/ingest/internal/loose"
)

// Tree is a JSON value: nil, bool, string, json.Number, []any or map[string]any.
type Tree struct{ value any }

// Parse reads one JSON value, numbers as they were written. It refuses what is
// empty, too deep, not UTF-8, or followed by something else.
func Parse(body []byte) (Tree, error) {
	switch body = loose.Clean(body); {
	case len(body) == 0:
		return Tree{}, errors.New("the body is empty; expected JSON")
	case !utf8.Valid(body):
		return Tree{}, errors.New("the body is not UTF-8")
	}
	if err := loose.Shallow(body); err != nil {
		return Tree{}, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var t Tree
	if err := dec.Decode(&t.value); err != nil {
		return Tree{}, fmt.Errorf("the body is not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Tree{}, errors.New("the body has something after its JSON")
	}
	return t, nil
}

// ParseObject is Parse for a body that must be an object.
func ParseObject(body []byte) (Tree, error) {
	t, err := Parse(body)
	if err == nil && t.Object() == nil {
		return Tree{}, fmt.Errorf("expected a JSON object, found %s", t.kind())
	}
	return t, err
}

// At gives the value at a path: names and places in lists with dots between
// them, like "answers.0.email". A name that itself has dots is found too. The
// zero Tree stands for nothing.
func (t Tree) At(path string) Tree {
	if path == "" {
		return t
	}
	switch v := t.value.(type) {
	case map[string]any:
		if found, ok := v[path]; ok {
			return Tree{found}
		}
		for i := range len(path) {
			if path[i] != '.' {
				continue
			}
			if inner, ok := v[path[:i]]; ok {
				if found := (Tree{inner}).At(path[i+1:]); found.value != nil {
					return found
				}
			}
		}
	case []any:
		head, rest, _ := strings.Cut(path, ".")
		if n, err := strconv.Atoi(head); err == nil && n >= 0 && n < len(v) {
			return Tree{v[n]}.At(rest)
		}
	}
	return Tree{}
}

// Text gives a plain value as text, numbers as they were sent; empty for
// anything else.
func (t Tree) Text(path string) string {
	switch v := t.At(path).value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// Known reports whether there is anything at a path, null not counted.
func (t Tree) Known(path string) bool { return t.At(path).value != nil }

// Object gives the names and values of an object; nil when it is none.
func (t Tree) Object() map[string]Tree {
	m, ok := t.value.(map[string]any)
	if !ok {
		return nil
	}
	out := make(map[string]Tree, len(m))
	for k, v := range m {
		out[k] = Tree{v}
	}
	return out
}

// List gives the values of a list; nil when it is none.
func (t Tree) List() []Tree {
	l, ok := t.value.([]any)
	if !ok {
		return nil
	}
	out := make([]Tree, len(l))
	for i, v := range l {
		out[i] = Tree{v}
	}
	return out
}

// Plain reports whether the value is text, a number or a truth.
func (t Tree) Plain() bool {
	switch t.value.(type) {
	case string, json.Number, bool:
		return true
	}
	return false
}

// IsList reports whether the value is a list.
func (t Tree) IsList() bool { _, ok := t.value.([]any); return ok }

// Time reads a moment: RFC 3339, a date, or seconds or milliseconds since 1970.
// Zero when there is none: a broken clock is no reason to lose an event.
func (t Tree) Time(path string) time.Time { return TimeOf(t.Text(path)) }

// TimeOf reads a moment like Tree.Time.
func TimeOf(s string) time.Time {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
		if n < 1e11 { // the year 5138 in seconds, 1973 in milliseconds
			return time.Unix(n, 0).UTC()
		}
		return time.UnixMilli(n).UTC()
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999Z0700", time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

func (t Tree) kind() string {
	switch t.value.(type) {
	case nil:
		return "null"
	case string:
		return "a text"
	case json.Number:
		return "a number"
	case bool:
		return "a truth"
	case []any:
		return "a list"
	}
	return "an object"
}

// JSON writes the value back.
func (t Tree) JSON() string {
	raw, err := json.Marshal(t.value)
	if err != nil { // only what Parse cannot make
		return ""
	}
	return string(raw)
}
