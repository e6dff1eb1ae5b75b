package cli

import (
	"github.com/spf13/cobra"

	"github.com/nurturehq/nurture/pkg/engines"
)

func newEngines() *cobra.Command {
	cmd := &cobra.Command{
		Use: "engines", Short: "Run only a durable NATS server, for services started one by one", Args: noArgs,
		Long: "Run a NATS server with JetStream on loopback that writes to disk before it acknowledges, for\n" +
			"development with the services as processes of their own. Bring your own Redis.",
	}
	dir := cmd.Flags().String("data", "data/engines", "directory that keeps the streams")
	port := cmd.Flags().Int("port", 4222, "port on loopback; -1 for a free one")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		srv, err := engines.StartNATS(cmd.Context(), engines.NATSOptions{Dir: *dir, Port: *port})
		if err != nil {
			return err
		}
		defer engines.StopNATS(srv)
		if err := say(cmd, "nats %s\n", srv.ClientURL()); err != nil {
			return err
		}
		<-cmd.Context().Done()
		return nil
	}
	return cmd
}
