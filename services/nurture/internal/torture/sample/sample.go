// Package sample keeps evidence in files, and has some of a recorded run, on
// which the checker proves itself.
package sample

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the recorded run
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

//go:embed run.json.gz
var recorded []byte //nolint:gochecknoglobals // go:embed asks for it

// Recorded is the evidence of a small run with all sorts of faults, in which
// nothing went wrong.
func Recorded() (*torture.Evidence, error) { return decode(bytes.NewReader(recorded)) }

// Load reads evidence from a file.
func Load(path string) (*torture.Evidence, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read evidence: %w", err)
	}
	defer f.Close()
	return decode(f)
}

func decode(r io.Reader) (*torture.Evidence, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("unzip evidence: %w", err)
	}
	ev := &torture.Evidence{}
	if err := json.NewDecoder(z).Decode(ev); err != nil {
		return nil, fmt.Errorf("decode evidence: %w", err)
	}
	return ev, nil
}

// Save writes evidence to a file.
func Save(path string, ev *torture.Evidence) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	z := gzip.NewWriter(f)
	if err := errors.Join(json.NewEncoder(z).Encode(ev), z.Close(), f.Close()); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}
