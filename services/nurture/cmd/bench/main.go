// Command bench prints what the platform does beside what its engine can do,
// measured in one run: one line per figure, "name value unit". Arguments name
// the groups to run; without any, all. --cpuprofile FILE says where time goes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"

	"github.com/nurturehq/nurture/pkg/daemon"
	"github.com/nurturehq/nurture/services/nurture/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go daemon.TendMemory(ctx) // as every service does
	profile := flag.String("cpuprofile", "", "write a CPU profile of the whole run to this file")
	flag.Parse()
	if err := profiled(*profile, func() error { return run(ctx, flag.Args()) }); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// profiled runs main under the CPU profiler if a file is named.
func profiled(file string, main func() error) error {
	if file == "" {
		return main()
	}
	f, err := os.Create(file) //nolint:gosec // the user names it
	if err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return fmt.Errorf("start profile: %w", err)
	}
	err = main()
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}

func run(ctx context.Context, wanted []string) error {
	groups := bench.Groups()
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Name
	}
	for _, w := range wanted {
		if !slices.Contains(names, w) {
			return fmt.Errorf("there is no group %q: choose from %s", w, strings.Join(names, ", "))
		}
	}
	for _, g := range groups {
		if len(wanted) > 0 && !slices.Contains(wanted, g.Name) {
			continue
		}
		lines, err := g.Measure(ctx, "deploy/example")
		if err != nil {
			return fmt.Errorf("measure %s: %w", g.Name, err)
		}
		for _, l := range lines {
			fmt.Println(l)
		}
	}
	return nil
}
