package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nurturehq/nurture/services/nurture/internal/box"
)

// ErrLint: the configuration cannot be used as it is.
var ErrLint = errors.New("the configuration has faults")

func newLint() *cobra.Command {
	return &cobra.Command{
		Use: "lint <dir>", Short: "Check sources, model, programs, templates and routes", Args: wantArgs("dir"),
		Long: "Check a configuration directory as the services would read it. Each fault is one line that names\n" +
			"the file, the line, the column and what was expected. Needs no running service.",
		RunE: func(cmd *cobra.Command, args []string) error {
			err := box.Lint(args[0])
			if err == nil {
				return say(cmd, "%s: sources, model, programs, templates and routes are fine\n", args[0])
			}
			said, all := faults(err)
			if len(all) == 1 {
				return err
			}
			for _, line := range all {
				if err := say(cmd, "%s\n", line); err != nil {
					return err
				}
			}
			return fmt.Errorf("%w: %d of them, listed above", ErrLint, len(said))
		},
	}
}
