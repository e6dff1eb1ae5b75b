package fleet_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/torture/fleet"
)

// start keeps a shell that counts its starts in a file.
func start(t *testing.T, script string) (*fleet.Fleet, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	f := fleet.New(dir, time.Now)
	t.Cleanup(func() { f.Stop(5 * time.Second); cancel() })
	count := dir + "/starts"
	if err := f.Start(ctx, fleet.Spec{Name: "sh", Bin: "/bin/sh", Args: []string{"-c", "echo x >>" + count + "; " + script}}); err != nil {
		t.Fatal(err)
	}
	return f, count
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func starts(count string) int {
	raw, _ := os.ReadFile(count)
	return strings.Count(string(raw), "x")
}

func TestAKilledProcessStaysDownUntilItIsRaised(t *testing.T) {
	t.Parallel()
	f, count := start(t, "exec sleep 60")
	eventually(t, "it never started", func() bool { return starts(count) == 1 })
	if killed, err := f.Kill("sh"); !killed || err != nil {
		t.Fatalf("kill: %v %v", killed, err)
	}
	if killed, _ := f.Kill("sh"); killed {
		t.Error("a dead process was killed again")
	}
	<-time.After(500 * time.Millisecond)
	if n := starts(count); n != 1 {
		t.Fatalf("it was started %d times while it had to stay down", n)
	}
	if err := f.Raise("sh"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it was not raised", func() bool { return starts(count) == 2 })
	if n := f.Exits()["sh"]; n != 0 {
		t.Errorf("a kill counts as %d exits", n)
	}
}

func TestAProcessThatEndsByItselfIsStartedAgainAndCounted(t *testing.T) {
	t.Parallel()
	f, count := start(t, "exit 3")
	eventually(t, "it was not started again", func() bool { return starts(count) >= 3 && f.Exits()["sh"] >= 2 })
}

func TestARestartIsGentleWhenTheProcessAllows(t *testing.T) {
	t.Parallel()
	f, count := start(t, "exec sleep 60")
	eventually(t, "it never started", func() bool { return starts(count) == 1 })
	if gently, err := f.Restart("sh", 5*time.Second); !gently || err != nil {
		t.Errorf("gently %v, %v", gently, err)
	}
	eventually(t, "it did not come back", func() bool { return starts(count) == 2 })
	if n := f.Exits()["sh"]; n != 0 {
		t.Errorf("a restart counts as %d exits", n)
	}
}

func TestAStubbornProcessIsKilledAfterThePatience(t *testing.T) {
	t.Parallel()
	f, count := start(t, "trap '' TERM; while :; do sleep 1; done")
	eventually(t, "it never started", func() bool { return starts(count) == 1 })
	if killed := f.Stop(300 * time.Millisecond); len(killed) != 1 {
		t.Errorf("killed %v", killed)
	}
}

func TestAPanicIsFoundInTheLog(t *testing.T) {
	t.Parallel()
	f, count := start(t, "echo 'panic: oh no' >&2; exec sleep 60")
	eventually(t, "it never started", func() bool { return starts(count) == 1 && len(f.Panics()) == 1 })
	if p := f.Panics()[0]; p != "sh: panic: oh no" {
		t.Errorf("found %q", p)
	}
}
