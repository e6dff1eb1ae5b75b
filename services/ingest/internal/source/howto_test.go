package source

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestTheSourcesInTheHowtosAreRight(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "..", "docs", "howto", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(sources:\n.*?)```")
	read := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks.FindAllSubmatch(raw, -1) {
			text := regexp.MustCompile(`sha256:<[^>]*>`).ReplaceAll(block[1], []byte("sha256:"+sum))
			if _, err := Parse(filepath.Base(file), text, func(Ref) (string, error) { return "secret", nil }); err != nil {
				t.Errorf("%s: %v\n%s", file, err, text)
			}
			read++
		}
	}
	if read < 8 {
		t.Errorf("only %d were found", read)
	}
}
