package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/nurturehq/nurture/services/nurture/internal/box"
)

// ErrMismatch: a stored state is not what its log gives.
var ErrMismatch = errors.New("stored states differ from the log")

func newVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Rebuild every state from the log and compare it with what is stored", Args: noArgs,
		Long: "Fold every record's causes again and compare state, events and wake-up byte for byte. Needs the\n" +
			"configuration the log was written with. The exit code is 1 when anything differs.",
	}
	url := natsFlag(cmd)
	service := cmd.Flags().String("service", "all", "ingest, scoring, campaign, handoff or all")
	data := cmd.Flags().String("data", "data", "data directory of nurture run, for the key that ingest's records are sealed under; INGEST_DATA_KEY names another key")
	config := cmd.Flags().String("config", "deploy/example", "directory with sources, model, programs and routes")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b, err := openBus(cmd.Context(), *url)
		if err != nil {
			return err
		}
		defer b.Close()
		reports, err := box.VerifyLog(cmd.Context(), b, box.Verification{
			Config: *config, Service: *service, DataKey: cmp.Or(os.Getenv("INGEST_DATA_KEY"), box.DataKey(*data)),
		})
		if err != nil {
			return err
		}
		return printVerified(&printer{w: cmd.OutOrStdout()}, reports)
	}
	return cmd
}

// shownMismatches is how many are printed per service.
const shownMismatches = 10

func printVerified(p *printer, reports []box.Verified) error {
	wrong := 0
	for _, r := range reports {
		p.f("%s leads=%d mismatches=%d\n", r.Service, r.Leads, len(r.Mismatches))
		wrong += len(r.Mismatches)
		for i, m := range r.Mismatches {
			if i < shownMismatches {
				p.f("  lead %s at sequence %d: %s\n", m.Lead, m.Seq, m.Why)
			}
		}
	}
	if p.err == nil && wrong > 0 {
		return fmt.Errorf("%w: %d records; was the log written with another configuration, or in another data directory? name them with --config and --data", ErrMismatch, wrong)
	}
	return p.err
}
