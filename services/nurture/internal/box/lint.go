package box

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/nurturehq/nurture/pkg/access"
	"github.com/nurturehq/nurture/pkg/expr"
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
	m, modelErr := scoring.Lint(filepath.Join(dir, "model.yaml"))
	programs, programsErr := campaign.Lint(dir)
	routes, routesErr := handoff.LoadRoutes(filepath.Join(dir, "routes.yaml"))
	return errors.Join(
		ingest.Lint(filepath.Join(dir, "sources.yaml")),
		lintConsent(filepath.Join(dir, consentFile)),
		lintSignals(filepath.Join(dir, signalsFile)),
		modelErr,
		programsErr,
		lintAccess(filepath.Join(dir, accessFile)),
		routesErr,
		lintFacts(dir, slices.Concat(m, programs, routes.Conditions())),
	)
}

// All may be left out: then nothing is allowed without a yes, signals are judged
// by what is built in, and conditions know the usual facts alone.
const (
	consentFile = "consent.yaml"
	signalsFile = "signals.yaml"
	factsFile   = "facts.yaml"
)

// lintFacts checks facts.yaml, and that conditions ask for nothing that it does
// not list.
func lintFacts(dir string, conditions []*expr.Program) error {
	file := filepath.Join(dir, factsFile)
	if !isFile(file) {
		file = ""
	}
	var names expr.Names
	var err error
	if names.Attributes, names.Properties, err = ingest.LintFacts(file); err != nil {
		return err
	}
	var errs []error
	for _, c := range conditions {
		errs = append(errs, c.Unlisted(names))
	}
	return errors.Join(errs...)
}

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
