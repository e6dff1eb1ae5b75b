package box

import (
	"errors"
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
		scoring.Lint(filepath.Join(dir, "model.yaml")),
		campaign.Lint(dir),
		routes,
	)
}
