package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/nurturehq/nurture/pkg/bus"
)

// defaultNATS is where `nurture run` lets its embedded NATS listen.
const defaultNATS = "nats://127.0.0.1:4222"

// natsFlag adds --nats; NATS_URL is its default.
func natsFlag(cmd *cobra.Command) *string {
	def := defaultNATS
	if env := os.Getenv("NATS_URL"); env != "" {
		def = env
	}
	return cmd.Flags().String("nats", def, "NATS server whose log is read (NATS_URL)")
}

// openBus connects to a log that must be there already.
func openBus(ctx context.Context, url string) (*bus.Bus, error) {
	b, err := bus.Connect(ctx, bus.Options{URL: url, Name: "nurture-cli", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("%w; start `nurture run`, or name the server with --nats", err)
	}
	if _, err := b.JS.Stream(ctx, bus.Leads); err != nil {
		b.Close()
		return nil, fmt.Errorf("the NATS server at %s has no stream %s: it is not Nurture's; name the right one with --nats", url, bus.Leads)
	}
	return b, nil
}

// printer remembers the first error of writing.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
