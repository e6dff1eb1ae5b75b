package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/story"
)

func newStory() *cobra.Command {
	cmd := &cobra.Command{
		Use: "story", Short: "Play the story of 100 leads to its end and account for each of them", Args: noArgs,
		Long: "Play the story on fresh engines in a temporary directory: leads arrive, the ones that are ready go\n" +
			"to sales, the others are nurtured. The exit code is 1 when a mail was sent twice, a lead was left\n" +
			"alone or lost, or a message was parked.",
	}
	o := story.Defaults()
	f := cmd.Flags()
	f.IntVar(&o.Leads, "leads", o.Leads, "how many leads arrive")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "makes the population; the same seed makes the same one")
	f.StringVar(&o.Config, "config", o.Config, "directory with sources, model, programs and routes")
	f.DurationVar(&o.For, "for", o.For, "how long the programs go on after the last arrival")
	f.DurationVar(&o.Limit, "limit", o.Limit, "after which time the story has failed")
	f.Float64Var(&o.TimeScale, "time-scale", o.TimeScale, "multiplies every wait of the programs")
	asJSON := f.Bool("json", false, "print one line of JSON")
	level := logFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Leads < 1 {
			return fmt.Errorf("--leads is %d: tell the story of at least one lead", o.Leads)
		}
		log, stop, err := openLog(cmd, *level)
		if err != nil {
			return err
		}
		defer stop()
		o.Log = log
		report, err := story.Play(cmd.Context(), o)
		if err != nil && report.Captured == 0 {
			return err
		}
		return errors.Join(err, printReport(cmd.OutOrStdout(), report, *asJSON), report.Check(o.Leads))
	}
	return cmd
}

func printReport(out io.Writer, r story.Report, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	p := &printer{w: w}
	s := r.Funnel
	p.f("%d leads were captured and played their story in %s.\n\n", r.Captured, r.Took.Truncate(100*time.Millisecond))
	p.f("%d\twere ready the moment they arrived\n", r.QualifiedAtArrival)
	p.f("%d\twere handed to sales, %d of them accepted\n", r.HandedOff, s.Accepted)
	p.f("%d\tbecame customers, %d were lost to others\n", s.Stages[leadv1.Stage_STAGE_WON], s.Stages[leadv1.Stage_STAGE_LOST])
	p.f("%d\tcame back from sales to be nurtured\n", r.Recycled)
	p.f("%d\tare nurtured now, %d are with sales\n", r.Nurturing, s.AtSales())
	p.f("%d\tasked to be left alone or cannot be reached\n", s.Stages[leadv1.Stage_STAGE_SUPPRESSED])
	p.f("%d\tmails were sent, %d deferred, %d suppressed, %d skipped, %d bounced\n\n", r.Mails, s.Deferred, s.Suppressed, s.Skipped, s.Bounced)
	p.f("%d\tmails sent twice\n%d\torphans\n%d\tparked\n%d\tunaccounted\n", r.DoubleSends, r.Orphans, r.Parked, r.Unaccounted)
	return errors.Join(p.err, w.Flush())
}
