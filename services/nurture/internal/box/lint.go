package box

import (
	"errors"
	"os"
	"path/filepath"

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
		scoring.Lint(filepath.Join(dir, "model.yaml")),
		campaign.Lint(dir),
		routes,
	)
}

// consentFile may be left out: then nothing is allowed without a yes.
const consentFile = "consent.yaml"

func lintConsent(file string) error {
	if !isFile(file) {
		return nil
	}
	return ingest.LintConsent(file)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
