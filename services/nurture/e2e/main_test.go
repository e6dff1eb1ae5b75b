package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/nurturehq/nurture/pkg/daemon"
	"github.com/nurturehq/nurture/services/nurture/internal/cli"
)

// TestMain lets this binary be the command line as well: under the name nurture
// it is what cmd/nurture builds. A test that types commands needs no second one.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "nurture" {
		os.Exit(m.Run())
	}
	os.Exit(daemon.Run(context.Background(), func(ctx context.Context) error {
		return cli.Main(ctx, os.Args[1:])
	}))
}
