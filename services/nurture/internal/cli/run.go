package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/nurturehq/nurture/services/nurture/internal/box"
	"github.com/nurturehq/nurture/services/nurture/internal/population"
	"github.com/nurturehq/nurture/services/nurture/internal/traffic"
)

// runFlags are the settings of `nurture run`.
type runFlags struct {
	box   box.Options
	demo  string
	leads int
	seed  uint64
	over  time.Duration
}

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", Short: "Run everything here: engines, services, a mailbox for every lead, a CRM", Args: noArgs,
		Long: "Run the four services in this process on an embedded NATS that writes to disk before it\n" +
			"acknowledges, or on NATS_URL and REDIS_URL when they are set. Listens on loopback. Ctrl-C drains.",
	}
	f := runFlags{box: box.Options{Doors: box.Doors()}}
	level := logFlag(cmd)
	f.declare(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		demo, err := f.wantsDemo()
		if err != nil {
			return err
		}
		log, stop, err := openLog(cmd, *level)
		if err != nil {
			return err
		}
		defer stop()
		f.box.Log = log
		return f.run(cmd, demo)
	}
	return cmd
}

func (f *runFlags) declare(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.box.Data, "data", "data", "directory that keeps the log, the keys and the CRM's journal")
	flags.StringVar(&f.box.Config, "config", "deploy/example", "directory with sources, model, programs and routes")
	flags.StringVar(&f.box.Access, "access", os.Getenv("NURTURE_ACCESS_FILE"), "file that says whose tokens open the API (NURTURE_ACCESS_FILE; default access.yaml of --config when it is there, else no tokens)")
	flags.StringVar(&f.box.NATSURL, "nats", os.Getenv("NATS_URL"), "use this NATS server instead of an embedded one (NATS_URL)")
	flags.StringVar(&f.box.MonitorURL, "nats-monitor", os.Getenv("NATS_MONITOR_URL"), "monitoring address of that server, asked whether it is durable (NATS_MONITOR_URL)")
	flags.StringVar(&f.box.RedisURL, "redis", os.Getenv("REDIS_URL"), "use this Redis instead of an embedded stand-in (REDIS_URL)")
	flags.IntVar(&f.box.NATSPort, "nats-port", 4222, "port of the embedded NATS on loopback")
	flags.Float64Var(&f.box.TimeScale, "time-scale", 1, "multiplies every wait of the programs")
	flags.StringVar(&f.demo, "demo", "", "on or off: let demo leads arrive (DEMO; default on)")
	flags.IntVar(&f.leads, "leads", 100, "how many demo leads arrive")
	flags.Uint64Var(&f.seed, "seed", 1, "makes the demo leads; another seed makes other people")
	flags.DurationVar(&f.over, "over", time.Minute, "the time in which the demo leads arrive")
	for i := range f.box.Doors {
		d := &f.box.Doors[i]
		flags.StringVar(&d.Addr, d.Flag, d.Addr, "where "+d.Name+" listens")
	}
}

// wantsDemo reads --demo, else DEMO, else on.
func (f *runFlags) wantsDemo() (bool, error) {
	choice, from := f.demo, "--demo"
	if choice == "" {
		choice, from = os.Getenv("DEMO"), "DEMO"
	}
	switch choice {
	case "", "on":
		return true, nil
	case "off":
		return false, nil
	}
	return false, fmt.Errorf("%s is %q: use on or off", from, choice)
}

// react is how long a demo lead takes at most to react to a mail.
const react = 6 * time.Second

func (f *runFlags) run(cmd *cobra.Command, demo bool) error {
	ctx := cmd.Context()
	people := population.New(population.Options{Leads: f.leads, Seed: f.seed, Over: f.over, React: react})
	if demo {
		f.box.Refuse = population.Refuse(people)
	}
	b, err := box.Open(ctx, f.box)
	if err != nil {
		return err
	}
	if err := welcome(&printer{w: cmd.OutOrStdout()}, b, f.box); err != nil {
		return err
	}
	extras := []box.Extra{{Name: "terminal", Run: func(ctx context.Context) error {
		return show(ctx, cmd.OutOrStdout(), b)
	}}}
	if demo {
		extras = append(extras, box.Extra{Name: "population", Run: func(ctx context.Context) error {
			return f.play(ctx, b, people)
		}})
	}
	err = b.Run(ctx, extras...)
	if ctx.Err() != nil {
		_ = say(cmd, "\ndrained; what was accepted is in %s\n", f.box.Data)
	}
	return err
}

// play lets the demo leads arrive, unless this data directory has seen them:
// then they only react to their mails.
func (f *runFlags) play(ctx context.Context, b *box.Box, people []*population.Person) error {
	if err := b.Live.CatchUp(ctx); err != nil {
		return err
	}
	snap, err := b.Live.Snapshot(ctx)
	if err != nil {
		return err
	}
	visits := snap.Captured == 0
	if !visits {
		f.box.Log.Log(ctx, slog.LevelInfo, "the data directory has leads already: no new ones arrive", "captured", snap.Captured)
	}
	return traffic.New(traffic.Options{
		People: people, Visits: visits, Ingest: b.URL(box.IngestHTTP), Source: traffic.ExampleSource, WriteKey: traffic.ExampleKey,
		Inbox: b.Inbox, Desk: b.Desk, Seed: f.seed, React: react, Log: f.box.Log,
	}).Run(ctx)
}
