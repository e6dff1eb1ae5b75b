package e2e

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is one that this test started.
type process struct {
	name string
	cmd  *exec.Cmd
	out  *bytes.Buffer
	done chan error
}

// build compiles one binary.
func (c *cluster) build(name string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "go", "build", "-o", filepath.Join(c.bin, name), "./cmd/"+name)
	cmd.Dir = filepath.Join("..", "..", name)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("build %s: %v\n%s", name, err, out)
	}
}

// run starts a process of its own.
func (c *cluster) run(name, path string, args ...string) *process {
	c.t.Helper()
	p := &process{name: name, cmd: exec.Command(path, args...), out: &bytes.Buffer{}, done: make(chan error, 1)} //nolint:noctx // it is ended by signal, not by context
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.Env = append(os.Environ(), "NURTURE_ACCESS_FILE="+c.access.file, "NURTURE_TOKEN="+c.access.services)
	if err := p.cmd.Start(); err != nil {
		c.t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.done <- p.cmd.Wait()
		close(p.done) // whoever asks again gets nil and does not wait for ever
	}()
	c.running = append(c.running, p)
	return p
}

// endAll asks every process to end, the last started first, and wants exit code 0.
func (c *cluster) endAll() {
	c.t.Helper()
	for i := len(c.running) - 1; i >= 0; i-- {
		p := c.running[i]
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-p.done:
			if err != nil {
				c.t.Errorf("%s did not end well: %v\n%s", p.name, err, tail(p.out))
			}
		case <-time.After(20 * time.Second):
			c.t.Errorf("%s did not end within 20 s\n%s", p.name, tail(p.out))
		}
		c.running = c.running[:i]
	}
}

// killAll ends what a failed test left; only processes that it started.
func (c *cluster) killAll() {
	for _, p := range c.running {
		_ = p.cmd.Process.Kill()
		<-p.done
		if c.t.Failed() {
			c.t.Logf("%s said:\n%s", p.name, tail(p.out))
		}
	}
}

func tail(out *bytes.Buffer) string {
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(out.Bytes())); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
