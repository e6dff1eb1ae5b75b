package cli

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, _ := debug.ReadBuildInfo()
			version, revision, dirty := "devel", "", ""
			if info != nil {
				version = cmp.Or(info.Main.Version, version)
				for _, s := range info.Settings {
					switch {
					case s.Key == "vcs.revision":
						revision = " " + s.Value[:min(12, len(s.Value))]
					case s.Key == "vcs.modified" && s.Value == "true":
						dirty = " with local changes"
					}
				}
			}
			return say(cmd, "nurture %s%s%s, %s\n", version, revision, dirty, runtime.Version())
		},
	}
}
