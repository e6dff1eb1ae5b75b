package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/funnel"
)

// ErrConservation: the counts do not add up, or somebody is left alone.
var ErrConservation = errors.New("the conservation law is broken")

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Count the leads per stage and check that nobody is lost", Args: noArgs,
		Long: "Count every lead from the log and check the conservation law: each captured lead is in exactly\n" +
			"one stage, and something will look at each one again. The exit code is 1 when it is broken.",
	}
	url := natsFlag(cmd)
	timeout := cmd.Flags().Duration("timeout", time.Minute, "how long reading the log may take")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		b, err := openBus(ctx, *url)
		if err != nil {
			return err
		}
		defer b.Close()
		live := funnel.Follow(b, time.Now)
		run, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- live.Run(run) }()
		err = live.CatchUp(ctx)
		snap, snapErr := live.Snapshot(ctx)
		orphans, lost := live.Problems(10)
		stop()
		if err := errors.Join(<-done, err, snapErr); err != nil {
			return err
		}
		return printStatus(cmd, snap, orphans, lost)
	}
	return cmd
}

func printStatus(cmd *cobra.Command, s funnel.Snapshot, orphans, lost []string) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', tabwriter.AlignRight)
	p := &printer{w: w}
	stages := make([]leadv1.Stage, 0, len(s.Stages))
	for stage := range s.Stages {
		stages = append(stages, stage)
	}
	slices.Sort(stages)
	for _, stage := range stages {
		p.f("%d\t  %s\n", s.Stages[stage], plain(stage.String(), "STAGE_"))
	}
	p.f("%d\t  captured\n", s.Captured)
	if s.Uncounted > 0 {
		p.f("%d\t  not counted: test leads and own staff\n", s.Uncounted)
	}
	p.f("%d\t  unaccounted\n", s.Unaccounted)
	p.f("%d\t  orphans\n", s.Orphans)
	p.f("%d\t  parked\n", s.Parked)
	if err := errors.Join(p.err, w.Flush()); err != nil {
		return err
	}
	if s.Unaccounted == 0 && s.Orphans == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d of %d leads have no stage %v, %d are orphans %v; look at them with `nurture lead show <id>`",
		ErrConservation, s.Unaccounted, s.Captured, lost, s.Orphans, orphans)
}
