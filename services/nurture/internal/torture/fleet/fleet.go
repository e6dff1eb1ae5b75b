// Package fleet starts processes, ends them with SIGKILL, and starts them
// again. It touches no process but its own.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Spec says how a process is started and when it is ready.
type Spec struct {
	// Name is told in the journal and names the log file.
	Name string
	Bin  string
	Args []string
	Env  []string
	// Ready is a URL that answers 200, or host:port that takes connections.
	Ready string
}

// Fleet is a set of processes that are kept running.
type Fleet struct {
	logs string
	now  func() time.Time
	mu   sync.Mutex
	ship map[string]*ship
	// order is that of starting; ending goes the other way.
	order []string
}

// ship is one process and its successors.
type ship struct {
	spec Spec
	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed when cmd has ended
	// held: it was killed on purpose and is not to be started by the watch.
	held, ending bool
	exits        int
}

// New makes a fleet whose processes write their logs below a directory.
func New(logs string, now func() time.Time) *Fleet {
	return &Fleet{logs: logs, now: now, ship: map[string]*ship{}}
}

// Start starts a process and keeps it running.
func (f *Fleet) Start(ctx context.Context, spec Spec) error {
	s := &ship{spec: spec}
	if err := f.launch(s); err != nil {
		return err
	}
	f.mu.Lock()
	f.ship[spec.Name] = s
	f.order = append(f.order, spec.Name)
	f.mu.Unlock()
	go f.watch(ctx, s)
	return nil
}

// launch starts the process anew.
func (f *Fleet) launch(s *ship) error {
	out, err := os.OpenFile(f.LogFile(s.spec.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", s.spec.Name, err)
	}
	defer out.Close()                               // the child has its own
	cmd := exec.Command(s.spec.Bin, s.spec.Args...) //nolint:gosec,noctx // ended by us alone, and not by a context
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), s.spec.Env...)
	// Whatever becomes of us, nobody is left behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return nil
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.spec.Name, err)
	}
	s.cmd, s.held, s.gone = cmd, false, make(chan struct{})
	go func(gone chan struct{}) {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(gone)
	}(s.gone)
	return nil
}

// relaunch is the pause before a process that ended by itself is started again,
// as whoever runs it in earnest would.
const relaunch = 300 * time.Millisecond

// watch starts the process again when it ended by itself.
func (f *Fleet) watch(ctx context.Context, s *ship) {
	for {
		s.mu.Lock()
		gone := s.gone
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-gone:
		}
		if !wait(ctx, relaunch) {
			return
		}
		s.mu.Lock()
		mine := s.gone == gone && !s.held && !s.ending
		if mine {
			s.exits++
		}
		s.mu.Unlock()
		if mine && f.launch(s) != nil && !wait(ctx, time.Second) {
			return
		}
	}
}

// wait waits; false when ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *Fleet) find(name string) (*ship, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.ship[name]
	if s == nil {
		return nil, fmt.Errorf("there is no process %q", name)
	}
	return s, nil
}

// Kill ends a process with SIGKILL and keeps it down until Raise. It reports
// whether there was one running.
func (f *Fleet) Kill(name string) (killed bool, err error) {
	s, err := f.find(name)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	cmd, gone := s.cmd, s.gone
	down := s.held || closed(gone)
	s.held = true
	s.mu.Unlock()
	if down {
		return false, nil
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return false, fmt.Errorf("kill %s: %w", name, err)
	}
	<-gone
	return true, nil
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// Raise starts a process that was killed.
func (f *Fleet) Raise(name string) error {
	s, err := f.find(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	up := !closed(s.gone)
	s.mu.Unlock()
	if up {
		return nil
	}
	return f.launch(s)
}

// Restart asks a process to end, waits for it, and starts it again. gently is
// false when it had to be killed because it did not end within the patience.
func (f *Fleet) Restart(name string, patience time.Duration) (gently bool, err error) {
	s, err := f.find(name)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	s.held = true
	cmd, gone := s.cmd, s.gone
	s.mu.Unlock()
	gently = end(cmd, gone, patience)
	return gently, f.launch(s)
}

// end asks a process to end, and kills it when it does not.
func end(cmd *exec.Cmd, gone <-chan struct{}, patience time.Duration) (gently bool) {
	if closed(gone) {
		return true
	}
	_ = cmd.Process.Signal(syscall.SIGCONT)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-gone:
		return true
	case <-timer.C:
		_ = cmd.Process.Kill()
		<-gone
		return false
	}
}

// Signal sends a signal to a running process.
func (f *Fleet) Signal(name string, sig os.Signal) error {
	s, err := f.find(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", name, err)
	}
	return nil
}

// Exits is how often each process ended by itself.
func (f *Fleet) Exits() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	exits := map[string]int{}
	for name, s := range f.ship {
		s.mu.Lock()
		exits[name] = s.exits
		s.mu.Unlock()
	}
	return exits
}

// Stop asks all processes to end, last started first, and kills those that do
// not within the patience. It returns the names of those.
func (f *Fleet) Stop(patience time.Duration) (killed []string) {
	f.mu.Lock()
	names := append([]string{}, f.order...)
	f.mu.Unlock()
	for i := len(names) - 1; i >= 0; i-- {
		if !f.stop(names[i], patience) {
			killed = append(killed, names[i])
		}
	}
	return killed
}

func (f *Fleet) stop(name string, patience time.Duration) (gently bool) {
	s, err := f.find(name)
	if err != nil {
		return false
	}
	s.mu.Lock()
	s.ending = true
	cmd, gone := s.cmd, s.gone
	s.mu.Unlock()
	return end(cmd, gone, patience)
}
