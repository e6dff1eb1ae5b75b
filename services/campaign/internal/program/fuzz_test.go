package program_test

import (
	"strings"
	"testing"

	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

// FuzzCompile wants that a program compiles, or is refused with its place.
func FuzzCompile(f *testing.F) {
	f.Add(good)
	f.Add(strings.ReplaceAll(good, "then: won", "then: hello"))
	f.Add("name: x\nenroll: {when: \"1 + 'a'\"}\nsteps: [{id: a, wait: {for: -3d}}]\n")
	f.Add("steps: &a [*a]\n")
	f.Add("name: [")
	c, err := program.NewCompiler()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, yaml string) {
		p, err := c.Compile(bundle(yaml))
		switch {
		case err != nil && !strings.Contains(err.Error(), "welcome.yaml"):
			t.Errorf("the error does not name the file: %v", err)
		case err == nil && (p.Name == "" || p.Version == "" || len(p.Steps) == 0):
			t.Errorf("compiled to %+v", p)
		}
	})
}
