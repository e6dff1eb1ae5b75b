package box

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/services/campaign"
	"github.com/nurturehq/nurture/services/handoff"
	"github.com/nurturehq/nurture/services/ingest"
	"github.com/nurturehq/nurture/services/scoring"
)

// Services are the names of the four, in the order of the flow.
var services = [...]string{"ingest", "scoring", "campaign", "handoff"}

// Verified is what rebuilding one service's states from the log showed.
type Verified struct {
	Service string
	ledger.VerifyReport
}

// Verification says what is verified, and with what.
type Verification struct {
	// Config is the directory of the configuration the log was written with.
	Config string
	// Service is one of the four, or "all".
	Service string
	// DataKey are the keys that ingest's data keys are wrapped in, as its setting
	// data_key has them. Needed for ingest alone: what it records is sealed.
	DataKey string
}

// VerifyLog rebuilds the states of one service, or of "all", from the log and
// compares them with what is stored. Redis has no part in it.
func VerifyLog(ctx context.Context, b *bus.Bus, v Verification) ([]Verified, error) {
	service := v.Service
	names := services[:]
	if service != "all" {
		if !slices.Contains(names, service) {
			return nil, fmt.Errorf("there is no service %q: use all, %s", service, strings.Join(names, ", "))
		}
		names = []string{service}
	}
	keys := newKeys()
	if v.DataKey != "" {
		keys.Data = v.DataKey
	}
	reports := make([]Verified, 0, len(names))
	for _, name := range names {
		report, err := verifyOne(ctx, &Box{opts: Options{Config: v.Config, Log: slog.New(slog.DiscardHandler)}, keys: keys, Bus: b}, name)
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", name, err)
		}
		reports = append(reports, Verified{Service: name, VerifyReport: report})
	}
	return reports, nil
}

// Verify rebuilds all states of a running box.
func (b *Box) Verify(ctx context.Context) ([]Verified, error) {
	return VerifyLog(ctx, b.Bus, Verification{Config: b.opts.Config, Service: "all", DataKey: b.keys.Data})
}

// verifyOne makes the service without letting it run: its fold is what counts.
func verifyOne(ctx context.Context, b *Box, name string) (ledger.VerifyReport, error) {
	switch name {
	case "ingest":
		s, err := ingest.New(b.ingestConfig(), ingest.Deps{Bus: b.Bus, Log: b.opts.Log})
		if err != nil {
			return ledger.VerifyReport{}, err
		}
		report, err := s.Ledger().Verify(ctx)
		if err != nil {
			return report, err
		}
		_, wrong, err := s.VerifyAccounts(ctx)
		report.Mismatches = append(report.Mismatches, wrong...)
		return report, err
	case "scoring":
		s, err := scoring.New(b.scoringConfig(), scoring.Deps{Bus: b.Bus, Log: b.opts.Log})
		if err != nil {
			return ledger.VerifyReport{}, err
		}
		return s.Ledger().Verify(ctx)
	case "campaign":
		s, err := campaign.New(b.campaignConfig(), campaign.Deps{Bus: b.Bus, Log: b.opts.Log})
		if err != nil {
			return ledger.VerifyReport{}, err
		}
		return s.Ledger().Verify(ctx)
	default:
		s, err := handoff.New(b.handoffConfig(), handoff.Deps{Bus: b.Bus, Log: b.opts.Log})
		if err != nil {
			return ledger.VerifyReport{}, err
		}
		return s.Ledger().Verify(ctx)
	}
}
