// Command nurture runs all of Nurture in one process, and is its command line.
package main

import (
	"context"
	"os"

	"github.com/nurturehq/nurture/pkg/daemon"
	"github.com/nurturehq/nurture/services/nurture/internal/cli"
)

func main() {
	os.Exit(daemon.Run(context.Background(), func(ctx context.Context) error {
		return cli.Main(ctx, os.Args[1:])
	}))
}
