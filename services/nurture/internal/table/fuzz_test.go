package table

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// FuzzList wants that every file ends, in rows that are under its columns.
func FuzzList(f *testing.F) {
	f.Add([]byte("email,name\njo@acme.example,Jo\n"), false)
	f.Add([]byte("\xff\xfee\x00;\x00a\x00\n\x00"), false)
	f.Add([]byte("\xef\xbb\xbfa;b\n\"x\n\";\"\"\"\n"), false)
	f.Add([]byte("{\"email\":\"jo@acme.example\",\"tags\":[1,null],\"n\":1e999}\n\n{\n"), true)
	f.Add([]byte("[1]\nnull\n\"x\"\n{}\n"), true)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte, lines bool) {
		path := filepath.Join(dir, "list.csv")
		if lines {
			path = filepath.Join(dir, "list.ndjson")
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path, Options{})
		if err != nil {
			return
		}
		defer func() { _ = r.Close() }()
		for n := uint64(1); ; n++ {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if n > uint64(len(raw))+1 {
				t.Fatalf("%q has %d rows and no end", raw, n)
			}
			if err != nil {
				return
			}
			if row.Number != n || r.Columns() != nil && len(row.Values) > len(r.Columns()) {
				t.Fatalf("%q: row %d is %+v under %q", raw, n, row, r.Columns())
			}
		}
	})
}
