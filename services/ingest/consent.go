package ingest

import (
	"fmt"
	"os"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
)

// readPolicy reads consent.yaml; without one nothing is allowed without a yes.
func readPolicy(file string) (*consent.Policy, error) {
	if file == "" {
		return consent.Parse("built in", []byte(consent.Builtin))
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read consent policy: %w (set consent to the path of your consent.yaml, or to nothing)", err)
	}
	return consent.Parse(file, raw)
}

// LintConsent says what is wrong with a consent file, with line and column; nil
// when ingest can use it.
func LintConsent(file string) error {
	_, err := readPolicy(file)
	return err
}
