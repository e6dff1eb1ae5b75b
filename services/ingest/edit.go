package ingest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// NewSource is what a new source is told to be.
type NewSource = source.Entry

// NewKey is a write key as it is entered in sources.yaml.
type NewKey = source.NewKey

// AddSource enters a source in a sources file. Ingest reads it by itself.
func AddSource(file string, e NewSource) error {
	return rewrite(file, func(raw []byte) ([]byte, error) { return source.Added(file, raw, e) })
}

// RotateKey enters a new write key of a source beside the present one.
func RotateKey(file, name string, key NewKey) error {
	return rewrite(file, func(raw []byte) ([]byte, error) { return source.Rotated(file, raw, name, key) })
}

// DropOldKey takes the older of a source's two write keys out.
func DropOldKey(file, name string) error {
	return rewrite(file, func(raw []byte) ([]byte, error) { return source.Dropped(file, raw, name) })
}

// rewrite changes a file as a whole: whoever reads it meanwhile reads the one or
// the other.
func rewrite(file string, change func([]byte) ([]byte, error)) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read sources: %w (name the file with --file)", err)
	}
	if raw, err = change(raw); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".sources-*")
	if err != nil {
		return fmt.Errorf("write sources: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write sources: %w", err)
	}
	return nil
}
