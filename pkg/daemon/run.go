package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Run calls main with a context that ends at the first SIGINT or SIGTERM and
// answers the exit code of the process: 0 when main returned nil, when it
// returned because it was told to stop, or when it only printed its help; 1
// after any other error, which is written to standard error as one line.
func Run(ctx context.Context, main func(ctx context.Context) error) int {
	return run(ctx, os.Stderr, main)
}

func run(ctx context.Context, stderr io.Writer, main func(ctx context.Context) error) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// Once the signal has come, the next one gets its default effect back.
	defer context.AfterFunc(ctx, stop)()

	go TendMemory(ctx)
	err := main(ctx)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
	return 1
}
