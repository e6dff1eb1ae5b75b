package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/nurturehq/nurture/pkg/config"
)

// Parse reads, checks and compiles a model. name is the file's; the error names
// line, column and what was expected, for all that is wrong at once.
func Parse(name string, raw []byte) (*Model, error) {
	var f File
	if err := config.DecodeYAML(name, raw, &f); err != nil {
		return nil, err
	}
	m, err := compile(name, &f)
	if err != nil {
		return nil, err
	}
	m.Version, err = versionOf(f.Name.Value, raw)
	return m, err
}

// versionOf hashes what the model says, not how it is laid out: comments, order
// of keys and spaces make no new version.
func versionOf(name string, raw []byte) (string, error) {
	var content any
	if err := yaml.Unmarshal(raw, &content); err != nil {
		return "", fmt.Errorf("hash model: %w", err)
	}
	canonical, err := yaml.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("hash model: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return name + "@" + hex.EncodeToString(sum[:6]), nil
}
