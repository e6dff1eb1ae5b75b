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
	fenced := regexp.MustCompile("(?s)```yaml\n(sources:\n.*?)```")
	indented := regexp.MustCompile(`(?m)^    sources:\n(?:    .*\n)+`)
	read := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var blocks [][]byte
		for _, block := range fenced.FindAllSubmatch(raw, -1) {
			blocks = append(blocks, block[1])
		}
		for _, block := range indented.FindAll(raw, -1) {
			blocks = append(blocks, regexp.MustCompile(`(?m)^ {4}`).ReplaceAll(block, nil))
		}
		for _, block := range blocks {
			text := regexp.MustCompile(`sha256:<[^>]*>`).ReplaceAll(block, []byte("sha256:"+sum))
			if _, err := Parse(filepath.Base(file), text, func(Ref) (string, error) { return "secret", nil }); err != nil {
				t.Errorf("%s: %v\n%s", file, err, text)
			}
			read++
		}
	}
	if read < 15 {
		t.Errorf("only %d were found", read)
	}
}
