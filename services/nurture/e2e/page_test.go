package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// block is what a page shows between two fences.
type block struct {
	place, language, text string
}

// blocksOf takes a page apart. Code that only stands farther to the right would
// be read by nobody here, so that in docs/howto it is a fault.
func blocksOf(t *testing.T, file string) (list []block) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	open, empty := false, true
	for i, line := range strings.Split(string(raw), "\n") {
		place := fmt.Sprintf("%s:%d", filepath.Base(file), i+1)
		switch fence, ok := strings.CutPrefix(line, "```"); {
		case ok && open:
			open = false
		case ok:
			open = true
			list = append(list, block{place: place, language: fence})
		case open:
			list[len(list)-1].text += line + "\n"
		case empty && strings.HasPrefix(line, "    ") && strings.Contains(file, "howto"):
			t.Errorf("%s: put code between fences and name its language: ```sh for commands, ```yaml for configuration", place)
		}
		empty = line == ""
	}
	return list
}

// among finds what is said of a block that begins with some words.
func among[V any](b block, said map[string]V) (words string, v V) {
	for words, v := range said {
		if strings.HasPrefix(b.text, words) {
			return words, v
		}
	}
	return "", v
}

// script is what a reader types: all of it, or in a transcript the lines after
// "$ " with those that go on, two columns farther to the right.
func (b block) script() string {
	if b.language != "console" {
		return b.text
	}
	var typed []string
	for line := range strings.Lines(b.text) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			typed = append(typed, command)
		} else if strings.HasPrefix(line, "  ") {
			typed = append(typed, line)
		}
	}
	return strings.Join(typed, "")
}

// shown are the answers that a transcript shows. Three dots stand for anything.
func (b block) shown() (list []*regexp.Regexp) {
	if b.language != "console" {
		return nil
	}
	for _, line := range strings.Split(strings.TrimSpace(b.text), "\n") {
		if !strings.HasPrefix(line, "$ ") && !strings.HasPrefix(line, "  ") {
			parts := strings.Split(line, "...")
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			list = append(list, regexp.MustCompile("^"+strings.Join(parts, ".*")+"$"))
		}
	}
	return list
}

// missing is the first line of a transcript that the output does not have, in
// this order; nil: it has them all.
func missing(shown []*regexp.Regexp, output string) *regexp.Regexp {
	lines := strings.Split(output, "\n")
	for _, want := range shown {
		at := slices.IndexFunc(lines, want.MatchString)
		if at < 0 {
			return want
		}
		lines = lines[at+1:]
	}
	return nil
}

// entered is a configuration file with a page's piece in it, as its reader would
// write it: what is there already stays, lists grow.
func entered(t *testing.T, raw []byte, piece string) []byte {
	t.Helper()
	var have, more map[string]any
	if err := yaml.Unmarshal(raw, &have); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(piece), &more); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(joined(have, more))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func joined(have, more any) any {
	switch more := more.(type) {
	case map[string]any:
		if have, ok := have.(map[string]any); ok {
			for name, value := range more {
				have[name] = joined(have[name], value)
			}
			return have
		}
	case []any:
		list, _ := have.([]any)
		for _, value := range more {
			if !slices.ContainsFunc(list, func(other any) bool { return reflect.DeepEqual(value, other) }) {
				list = append(list, value)
			}
		}
		return list
	}
	return more
}
