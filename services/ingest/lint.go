package ingest

import (
	"fmt"
	"os"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Ledger is the service's log, for `nurture verify`.
func (s *Service) Ledger() *ledger.Ledger[*ingestv1.State] { return s.ledger }

// Lint says what is wrong with a sources file, with line and column; nil when
// ingest can use it. The secrets that it names need not be there: they are
// where ingest runs, not where the file is checked.
func Lint(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read sources: %w", err)
	}
	_, err = source.Parse(file, raw, nil)
	return err
}

// LintSignals says what is wrong with a signals file, with line and column; nil
// when ingest can use it.
func LintSignals(file string) error { return readSignals(Config{Signals: file}).err }

// LintFacts says what is wrong with a facts file, with line and column, and else
// which attributes and which properties of activities conditions may name. No file
// is one that lists nothing.
func LintFacts(file string) (attributes, properties []string, err error) {
	known, err := readFacts(file)
	if err != nil {
		return nil, nil, err
	}
	return known.Attributes(), known.Properties(), nil
}
