package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzSources wants that a file is read whole or refused with its place.
func FuzzSources(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "deploy", "example", "sources.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(raw))
	f.Add("sources:\n  a: &a {kind: meta, secrets: [{env: X}], credentials: {access_token: {file: y}}}\n  b: *a\n")
	f.Add("sources:\n  a: {kind: webhook, fields: {a.b: email}, limits: {share: -1, burst: 1e99}}\n")
	f.Add("sources: {a: {form: {consents: [{}]}}}\n---\n")
	f.Add("\xff")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := Parse("s.yaml", []byte(text), func(Ref) (string, error) { return "secret", nil })
		if err != nil {
			if !strings.Contains(err.Error(), "s.yaml") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		for _, src := range set.All() {
			if again, ok := set.Named(src.Name); !ok || again != src || len(src.Keys) > 2 || src.Limits.Rate <= 0 || src.Limits.Share <= 0 || src.Limits.Share > 1 {
				t.Errorf("source %q: %+v", src.Name, src.Limits)
			}
			_ = src.Addresses()
		}
	})
}
