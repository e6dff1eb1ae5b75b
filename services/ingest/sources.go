package ingest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// readSources reads sources.yaml and the secrets that it names.
func readSources(file string) (*source.Set, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read sources: %w (set sources to the path of your sources.yaml)", err)
	}
	return source.Parse(file, raw, secretsBeside(file))
}

// secretsBeside reads secrets from the environment and from files, whose paths
// count from where the sources file is.
func secretsBeside(file string) source.Secrets {
	return func(ref source.Ref) (string, error) {
		if ref.Env != "" {
			v, ok := os.LookupEnv(ref.Env)
			if !ok {
				return "", fmt.Errorf("the variable %s is not set; it holds a secret", ref.Env)
			}
			return strings.TrimSpace(v), nil
		}
		path := ref.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(file), path)
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("there is no file %s; it holds a secret", path)
		}
		if err != nil {
			return "", fmt.Errorf("read secret: %w", err)
		}
		return strings.TrimSpace(string(raw)), nil
	}
}
