package daemon

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain turns the test binary into a daemon when a test starts it as one.
func TestMain(m *testing.M) {
	switch os.Getenv("DAEMON_TEST") {
	case "polite":
		os.Exit(Run(context.Background(), func(ctx context.Context) error {
			fmt.Println("up")
			<-ctx.Done()
			fmt.Println("drained")
			return ctx.Err()
		}))
	case "stuck":
		os.Exit(Run(context.Background(), func(ctx context.Context) error {
			fmt.Println("up")
			<-ctx.Done()
			fmt.Println("stuck")
			select {}
		}))
	}
	os.Exit(m.Run())
}

func TestTheExitCodeTellsHowItEnded(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		what string
		ctx  context.Context
		err  error
		code int
		text string
	}{
		{"done", t.Context(), nil, 0, ""},
		{"help", t.Context(), fmt.Errorf("x: %w", flag.ErrHelp), 0, ""},
		{"told to stop", ended, fmt.Errorf("serve: %w", context.Canceled), 0, ""},
		{"canceled by something else", t.Context(), context.Canceled, 1, "context canceled"},
		{"failed", t.Context(), errors.New("port in use"), 1, "port in use"},
		{"failed while stopping", ended, errors.New("disk full"), 1, "disk full"},
	} {
		t.Run(c.what, func(t *testing.T) {
			var stderr bytes.Buffer
			code := run(c.ctx, &stderr, func(context.Context) error { return c.err })
			if code != c.code || !strings.Contains(stderr.String(), c.text) || (c.text == "") != (stderr.Len() == 0) {
				t.Errorf("code %d, stderr %q", code, &stderr)
			}
		})
	}
}

// startDaemon runs this binary as a daemon and waits until it is up.
func startDaemon(t *testing.T, mode string) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "DAEMON_TEST="+mode)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	expect(t, out, "up\n")
	return cmd, out
}

func expect(t *testing.T, out io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(out, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v, want %q", got, err, text)
	}
}

func TestTheFirstSignalDrains(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd, out := startDaemon(t, "polite")
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		expect(t, out, "drained\n")
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", sig, err)
		}
	}
}

func TestTheSecondSignalKills(t *testing.T) {
	cmd, out := startDaemon(t, "stuck")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expect(t, out, "stuck\n")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// The handler is taken away just after the context ends, so the first of
	// these may still be swallowed.
	for {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
			status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !status.Signaled() || status.Signal() != syscall.SIGTERM {
				t.Errorf("ended by %v, want SIGTERM", cmd.ProcessState)
			}
			return
		case <-t.Context().Done():
			t.Fatal("still running")
		case <-time.After(100 * time.Millisecond):
		}
	}
}
