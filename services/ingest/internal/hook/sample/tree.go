package sample

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// tree is a JSON object that is made path by path.
type tree map[string]any

// raw is JSON as it is.
type raw string

// set puts a value at a path, like contact.mail. Whole numbers are the keys of
// lists. Of two paths of which one goes through the other the shorter stays.
func (t tree) set(path string, value any) {
	name, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		t[name] = value
		return
	}
	inner, ok := t[name].(tree)
	if !ok {
		if t[name] != nil {
			return
		}
		inner = tree{}
		t[name] = inner
	}
	inner.set(rest, value)
}

func (t tree) json() string {
	if t.isList() {
		parts := make([]string, len(t))
		for i, key := range slices.Sorted(maps.Keys(t)) {
			parts[i] = write(t[key])
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	parts := make([]string, 0, len(t))
	for _, key := range slices.Sorted(maps.Keys(t)) {
		parts = append(parts, write(key)+":"+write(t[key]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (t tree) isList() bool {
	for key := range t {
		if len(key) != 1 || key[0] < '0' || key[0] > '9' {
			return false
		}
	}
	return len(t) > 0
}

func write(v any) string {
	switch v := v.(type) {
	case tree:
		return v.json()
	case raw:
		return string(v)
	}
	out, err := json.Marshal(v)
	if err != nil { // texts always can be
		return `""`
	}
	return string(out)
}
