// Package cli is the command line of Nurture: run everything here, play the
// story, and look into what runs.
package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"
)

// Main runs the command line and returns its error, one line for a person.
func Main(ctx context.Context, args []string) error {
	root := newRoot() //nolint:contextcheck // commands take theirs from cobra
	root.SetArgs(args)
	return oneLine(spoken(root.ExecuteContext(ctx)))
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "nurture",
		Short: "Develop the leads that are not ready to buy, hand over those that are",
		Long: "Nurture owns the 80 leads of every 100 that are not ready to buy right now.\n" +
			"Start with `nurture run`: everything in one process, with 100 demo leads.",
		SilenceErrors: true, SilenceUsage: true,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())
	})
	root.AddCommand(
		newRun(), newStory(), newStatus(), newLead(), newAccount(), newSuppress(), newParked(), newRejects(), newSource(), newSignals(), newBounces(), newAccess(), newVerify(), newKeys(), newLint(),
		newImport(), newExport(), newEngines(), newVersion(),
	)
	return root
}

// noArgs refuses arguments and names the nearest command.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", near[0])
	}
	return fmt.Errorf("unknown command or argument %q for %q%s (see %s --help)", args[0], cmd.CommandPath(), hint, cmd.CommandPath())
}

// wantArgs asks for exactly the arguments that are named.
func wantArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return fmt.Errorf("%s needs %s: %s", cmd.CommandPath(), count(len(names)), cmd.UseLine())
		}
		return nil
	}
}

func count(n int) string {
	if n == 1 {
		return "one argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

// spoken leaves out of a service's refusal how it travelled: the words are ours
// and say what to do.
func spoken(err error) error {
	var s interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &s) {
		return err
	}
	said := s.GRPCStatus()
	if _, rest, ok := strings.Cut(said.Message(), "dial tcp "); ok && strings.Contains(rest, "connection refused") {
		address, _, _ := strings.Cut(rest, ": ")
		return &refusal{err, fmt.Sprintf("nobody answers at %s: start `nurture run`, or say where the services are with --addr", address)}
	}
	return &refusal{err, strings.Replace(err.Error(), fmt.Sprintf("rpc error: code = %s desc = ", said.Code()), "", 1)}
}

// refusal is an error in other words.
type refusal struct {
	error
	text string
}

func (r *refusal) Unwrap() error { return r.error }

func (r *refusal) Error() string { return r.text }

// oneLine makes an error of several lines one: joined errors go side by side,
// drawings under a line are left out.
func oneLine(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}
	return &flat{err}
}

type flat struct{ error }

func (f *flat) Unwrap() error { return f.error }

func (f *flat) Error() string {
	lines, _ := faults(f.error)
	return strings.Join(lines, "; ")
}

// faults takes an error of several lines apart: the lines that say something,
// and all of them with the drawings under them.
func faults(err error) (said, all []string) {
	all = strings.Split(strings.TrimSpace(err.Error()), "\n")
	said = slices.DeleteFunc(slices.Clone(all), func(line string) bool { return strings.HasPrefix(line, " ") })
	return said, all
}

var errGroupAlone = errors.New("a command is missing")

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			names := make([]string, len(commands))
			for i, c := range commands {
				names[i] = c.Name()
			}
			return fmt.Errorf("%w: %s %s", errGroupAlone, cmd.CommandPath(), strings.Join(names, "|"))
		},
	}
	g.AddCommand(commands...)
	return g
}
