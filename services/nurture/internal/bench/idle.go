package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Idle starts the whole platform as a process of its own and measures how long
// it takes until every service is ready, and what memory it holds when nothing
// happens.
func Idle(ctx context.Context, config string) ([]Line, error) {
	dir, err := os.MkdirTemp("", "nurture-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the bench: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin := filepath.Join(dir, "nurture")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "./services/nurture/cmd/nurture") //nolint:gosec // our own binary
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build nurture: %w: %s", err, out)
	}
	l, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	_ = l.Close()
	args := []string{"run", "--data", filepath.Join(dir, "data"), "--config", config, "--demo=off", "--nats-port=-1", "--ingest-http=" + addr}
	for _, door := range []string{"ingest-grpc", "scoring-http", "scoring-grpc", "campaign-http", "campaign-grpc", "handoff-http", "handoff-grpc", "inbox-http", "inbox-smtp", "desk-http"} {
		args = append(args, "--"+door+"=127.0.0.1:0")
	}
	cmd := exec.CommandContext(ctx, bin, args...) //nolint:gosec // our own binary
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start nurture: %w", err)
	}
	defer func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() }()
	if err := until(ctx, "nurture is ready", func() (bool, error) { return ready(ctx, "http://"+addr), nil }); err != nil {
		return nil, err
	}
	took := time.Since(start)
	settle := time.NewTimer(5 * time.Second) // garbage of the start is collected meanwhile
	defer settle.Stop()
	select {
	case <-settle.C:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait: %w", ctx.Err())
	}
	rss, err := residentMB(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	return []Line{{"start_to_ready", float64(took.Milliseconds()), "ms"}, {"rss_idle", rss, "MB"}}, nil
}

// residentMB reads a process's resident memory from the kernel.
func residentMB(pid int) (float64, error) {
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, fmt.Errorf("read memory of the process: %w", err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if kb, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 64)
			if err != nil {
				return 0, fmt.Errorf("read memory of the process: %w", err)
			}
			return n / 1024, nil
		}
	}
	return 0, fmt.Errorf("read memory of the process: no VmRSS in its status")
}
