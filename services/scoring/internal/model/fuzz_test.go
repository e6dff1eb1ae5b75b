package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse wants that a model compiles, or is refused with its place.
func FuzzParse(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "deploy", "example", "model.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(raw))
	f.Add(strings.ReplaceAll(string(raw), "half_life: ", "half_life: -"))
	f.Add("name: x\nfit: {groups: [{cap: .inf}]}\n")
	f.Add("name: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse("m.yaml", []byte(text))
		switch {
		case err != nil && !strings.Contains(err.Error(), "m.yaml"):
			t.Errorf("the error does not name the file: %v", err)
		case err == nil && m.Version == "":
			t.Errorf("compiled to %+v", m)
		}
	})
}
