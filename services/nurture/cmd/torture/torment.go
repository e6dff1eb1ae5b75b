package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/engines"
	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/run"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/sample"
)

// natsMode is how this program is called to be a NATS server and nothing else.
const natsMode = "nats"

// serveNATS runs a durable server until ctx ends, or it is killed.
func serveNATS(ctx context.Context, dir, port string) error {
	n, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("port %q: %w", port, err)
	}
	srv, err := engines.StartNATS(ctx, engines.NATSOptions{Dir: dir, Port: n})
	if err != nil {
		return err
	}
	<-ctx.Done()
	engines.StopNATS(srv)
	return nil
}

// evidenceFile is where the evidence of a run is kept in its directory.
const evidenceFile = "evidence.json.gz"

// torment does a run and judges it.
func torment(ctx context.Context, set settings, now func() time.Time) error {
	if err := makeDir(&set); err != nil {
		return err
	}
	ev, err := gather(ctx, set, now)
	if err != nil {
		return fmt.Errorf("%w\nlogs and data are in %s; run it again with: torture --length %s --seed %d", err, set.dir, set.profile.Name, set.seed)
	}
	if err := sample.Save(filepath.Join(set.dir, evidenceFile), ev); err != nil {
		return err
	}
	bad := judge(os.Stdout, ev, set)
	if bad == nil && !set.keep {
		return os.RemoveAll(set.dir)
	}
	return bad
}

func makeDir(set *settings) (err error) {
	if set.dir == "" {
		set.dir, err = os.MkdirTemp("", fmt.Sprintf("torture-%d-", set.seed))
		return err
	}
	if entries, err := os.ReadDir(set.dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: name a new directory with --dir", set.dir)
	}
	if set.dir, err = filepath.Abs(set.dir); err != nil {
		return err
	}
	return os.MkdirAll(set.dir, 0o700)
}

func gather(ctx context.Context, set settings, now func() time.Time) (*torture.Evidence, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, errors.New("there is no redis-server: install it (apt-get install redis-server), torture kills a real one")
	}
	if set.bin == "" {
		set.bin = filepath.Join(set.dir, "bin")
		if err := build(ctx, set.bin); err != nil {
			return nil, err
		}
	}
	return run.Do(ctx, run.Options{
		Plan: torture.NewPlan(set.seed, set.profile), Profile: set.profile, Dir: set.dir, Bin: set.bin,
		NATS: []string{self, natsMode}, Out: os.Stdout, Now: now,
	})
}

// build makes the binaries of the four services.
func build(ctx context.Context, into string) error {
	module := "github.com/nurturehq/nurture/services/"
	args := []string{"build", "-o", into + string(filepath.Separator)}
	for _, name := range []string{"ingest", "scoring", "campaign", "handoff"} {
		args = append(args, module+name+"/cmd/"+name)
	}
	if err := os.MkdirAll(into, 0o700); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // our own arguments
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the services (run this inside the repository, or name binaries with --bin): %w\n%s", err, out)
	}
	return nil
}

// judge prints what the checker found, and what it would not have found.
func judge(out io.Writer, ev *torture.Evidence, set settings) error {
	report := torture.Check(ev)
	bad := error(nil)
	if !report.OK() {
		bad = errWrong
		fmt.Fprintf(out, "torture: kept in %s; judge it again with: torture --check %s; run it again with: torture --length %s --seed %d\n",
			set.dir, set.dir, set.profile.Name, set.seed)
	} else if err := prove(out, ev); err != nil {
		bad = err
	}
	fmt.Fprint(out, report.Text())
	return bad
}

// prove spoils good evidence. What a run has nothing of cannot be spoilt: only
// a mutant that lives on is a fault of the checker.
func prove(out io.Writer, ev *torture.Evidence) error {
	caught, missed := torture.Prove(ev)
	fmt.Fprintf(out, "checker: %d of %d mutants caught\n", caught, caught+len(missed))
	var blind error
	for _, m := range missed {
		fmt.Fprintf(out, "checker: %s: %s\n", m.Name, m.Why)
		if strings.HasPrefix(m.Why, "the checker") {
			blind = errWrong
		}
	}
	return blind
}

func checkAgain(out io.Writer, dir string) error {
	ev, err := sample.Load(filepath.Join(dir, evidenceFile))
	if err != nil {
		return err
	}
	return judge(out, ev, settings{dir: dir, seed: ev.Seed, profile: torture.Short()})
}

// selfTest lets the checker prove itself on the recorded run: all mutants must
// be caught, and the run itself must be good.
func selfTest(out io.Writer) error {
	ev, err := sample.Recorded()
	if err != nil {
		return err
	}
	report := torture.Check(ev)
	fmt.Fprint(out, report.Text())
	if !report.OK() {
		return errWrong
	}
	caught, missed := torture.Prove(ev)
	for _, m := range missed {
		fmt.Fprintf(out, "MISSED %s: %s\n", m.Name, m.Why)
	}
	fmt.Fprintf(out, "mutants=%d caught=%d\n", caught+len(missed), caught)
	if len(missed) > 0 {
		return errWrong
	}
	return nil
}
