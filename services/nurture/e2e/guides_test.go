package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nurturehq/nurture/services/nurture/internal/box"
)

// The guides show a model and a program that a reader will copy: each must be
// right as it stands.
func TestTheExamplesOfTheGuidesAreRight(t *testing.T) {
	t.Parallel()
	for guide, file := range map[string]string{
		"write-a-model.md":   "model.yaml",
		"write-a-program.md": filepath.Join("programs", "small.yaml"),
	} {
		t.Run(guide, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(filepath.Join("../../../docs/howto", guide))
			if err != nil {
				t.Fatal(err)
			}
			_, after, found := strings.Cut(string(raw), "```yaml\n")
			text, _, closed := strings.Cut(after, "```\n")
			if !found || !closed {
				t.Fatal("the guide shows no YAML")
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(example(t))); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := box.Lint(dir); err != nil {
				t.Error(err)
			}
		})
	}
}
