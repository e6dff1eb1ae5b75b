package fleet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// LogFile is where a process writes.
func (f *Fleet) LogFile(name string) string { return filepath.Join(f.logs, name+".log") }

// Panics names the processes whose log shows that the program broke, with the
// line that says so.
func (f *Fleet) Panics() []string {
	f.mu.Lock()
	names := append([]string{}, f.order...)
	f.mu.Unlock()
	var found []string
	for _, name := range names {
		raw, err := os.ReadFile(f.LogFile(name))
		if err != nil {
			continue
		}
		for line := range bytes.Lines(raw) {
			if bytes.HasPrefix(line, []byte("panic:")) || bytes.HasPrefix(line, []byte("fatal error:")) || bytes.HasPrefix(line, []byte("WARNING: DATA RACE")) {
				found = append(found, name+": "+string(bytes.TrimSpace(line)))
			}
		}
	}
	return found
}

// Ready waits until a process answers.
func (f *Fleet) Ready(ctx context.Context, name string) error {
	s, err := f.find(name)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Second}
	for {
		last := answers(ctx, client, s.spec.Ready)
		if last == nil {
			return nil
		}
		if !wait(ctx, 50*time.Millisecond) {
			return fmt.Errorf("wait for %s (its log is %s): %w", name, f.LogFile(name), last)
		}
	}
}

func answers(ctx context.Context, client *http.Client, where string) error {
	if _, _, err := net.SplitHostPort(where); err == nil {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", where)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 500))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s: %s", resp.Status, bytes.TrimSpace(body))
	}
	return err
}

// Runs reports whether a process is running now.
func (f *Fleet) Runs(name string) bool {
	s, err := f.find(name)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !closed(s.gone)
}
