package box

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nurturehq/nurture/pkg/access"
	"github.com/nurturehq/nurture/services/campaign"
	"github.com/nurturehq/nurture/services/handoff"
	"github.com/nurturehq/nurture/services/ingest"
	"github.com/nurturehq/nurture/services/scoring"
)

// Lint checks a configuration directory as the services would read it, and
// joins everything that is wrong.
func Lint(dir string) error {
	if err := checkConfig(dir); err != nil {
		return err
	}
	_, routes := handoff.LoadRoutes(filepath.Join(dir, "routes.yaml"))
	return errors.Join(
		ingest.Lint(filepath.Join(dir, "sources.yaml")),
		lintConsent(filepath.Join(dir, consentFile)),
		lintSignals(filepath.Join(dir, signalsFile)),
		scoring.Lint(filepath.Join(dir, "model.yaml")),
		campaign.Lint(dir),
		lintAccess(filepath.Join(dir, accessFile)),
		routes,
	)
}

// Both may be left out: then nothing is allowed without a yes, and signals are
// judged by what is built in.
const (
	consentFile = "consent.yaml"
	signalsFile = "signals.yaml"
)

func lintConsent(file string) error {
	if !isFile(file) {
		return nil
	}
	return ingest.LintConsent(file)
}

// accessFile may be left out: then only callers on this machine are served.
const accessFile = "access.yaml"

func lintAccess(file string) error {
	if !isFile(file) {
		return nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read access file: %w", err)
	}
	_, err = access.Parse(file, raw)
	return err
}

func lintSignals(file string) error {
	if !isFile(file) {
		return nil
	}
	return ingest.LintSignals(file)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
