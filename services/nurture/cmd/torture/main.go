// Command torture kills processes and engines under load and accounts for every
// event: it runs the four services as processes of their own on a NATS and a
// Redis of their own, breaks them at random, and lets a checker that shares no
// code with them say what was lost, doubled, reordered or forgotten. The last
// line says it; the exit code is 0 only when nothing is wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// errWrong: the run went through and the checker found something.
var errWrong = errors.New("something is wrong")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command(ctx, os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil && !errors.Is(err, errWrong) {
		fmt.Fprintln(os.Stderr, "torture:", err)
	}
	if err != nil {
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) == 3 && args[0] == natsMode {
		return serveNATS(ctx, args[1], args[2])
	}
	set, err := parse(args)
	if err != nil {
		return err
	}
	switch {
	case set.selfTest:
		return selfTest(os.Stdout)
	case set.check != "":
		return checkAgain(os.Stdout, set.check)
	default:
		return torment(ctx, set, time.Now)
	}
}
