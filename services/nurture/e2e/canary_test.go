package e2e

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// canaries are the values of a person that must not be found after the erasure.
func canaries() map[string]string {
	return map[string]string{
		"e-mail": "canary.person.q7x@canarymail-q7x.example", "phone": "+49301739281", "first name": "Canfirstq7x", "last name": "Canlastq7x",
		"company": "Cancompany q7x Ltd", "street": "Canstreet q7x 12", "message": "canmessage q7x please", "user id": "canuser-q7x-1",
		"anonymous id": "cananon-q7x-1", "user agent": "canagent-q7x/1.0", "attribute": "canfreeattr q7x",
		"address on the net": "2001:db8:ca4a:97::1", "page": "canpath-q7x", "query of a page": "canquery-q7x", "title of a page": "Cantitle q7x",
		"referrer": "canreferrer-q7x.example", "campaign": "canutm-q7x", "click id": "cangclid-q7x", "external id": "canexternal-q7x",
		"property": "canproperty q7x", "words of a reject": "canreject q7x", "words of sales": "cansales q7x",
	}
}

// formsOf are the ways a value may be written.
func formsOf(value string) [][]byte {
	texts := []string{value, strings.ToLower(value), strings.ToUpper(value), url.QueryEscape(value), url.PathEscape(value)}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for pad := range 3 {
			text := enc.EncodeToString(append(make([]byte, pad), value...))
			from, to := (pad*8+5)/6, len(text)
			if (pad+len(value))%3 != 0 {
				to--
			}
			texts = append(texts, text[from:to])
		}
	}
	forms := make([][]byte, len(texts))
	for i, t := range texts {
		forms[i] = []byte(t)
	}
	return forms
}

// hits names the files below a directory in which a value is found.
func hits(t *testing.T, dir, value string) (files []string) {
	t.Helper()
	forms := formsOf(value)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that is gone holds nothing
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // the same
		}
		for _, form := range forms {
			if bytes.Contains(raw, form) {
				files = append(files, path)
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// forgotten searches the files below directories for every canary.
func forgotten(t *testing.T, when string, dirs ...string) {
	t.Helper()
	for name, value := range canaries() {
		for _, dir := range dirs {
			if found := hits(t, dir, value); len(found) > 0 {
				t.Errorf("%s: the %s is still in %v", when, name, found)
			}
		}
	}
}
