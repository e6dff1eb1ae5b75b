package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"

	"github.com/nurturehq/nurture/pkg/visitor"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
	"github.com/nurturehq/nurture/services/ingest/internal/fact"
	"github.com/nurturehq/nurture/services/ingest/internal/store/vault"
)

// files are what ingest reads before it starts.
type files struct {
	sources reading
	signals hearing
	policy  *consent.Policy
	known   *fact.Known
	secret  []byte
	ring    *vault.Ring
	proxies []netip.Prefix
}

// readFiles reads the configuration that lies in files of its own. The error
// names the file and what was expected.
func readFiles(cfg Config, log *slog.Logger) (f files, err error) {
	f.sources, f.signals = readSources(cfg.Sources), readSignals(cfg)
	if err := errors.Join(f.sources.err, f.signals.err); err != nil {
		return f, err
	}
	if f.proxies, err = visitor.Networks(cfg.Proxies); err != nil {
		return f, fmt.Errorf("configure ingest: trusted_proxies: %w", err)
	}
	if f.policy, err = readPolicy(cfg.Consent); err != nil {
		return f, err
	}
	if f.known, err = readFacts(cfg.Facts); err != nil {
		return f, err
	}
	if f.secret, err = identitySecret(cfg, log); err != nil {
		return f, err
	}
	f.ring, err = keyRing(cfg, log)
	return f, err
}

// readFacts reads facts.yaml; without one conditions know the usual facts alone.
func readFacts(file string) (*fact.Known, error) {
	if file == "" {
		return fact.Builtin(), nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read facts: %w (set facts to the path of your facts.yaml, or to nothing)", err)
	}
	return fact.Parse(file, raw)
}
