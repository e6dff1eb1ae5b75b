package crmdesk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// maxLine bounds one webhook, in bytes.
const maxLine = 1 << 20

// journal keeps the received webhooks in a file, one JSON object per line. The
// desk answers a webhook only after its line was written.
type journal struct {
	mu   sync.Mutex
	path string
	file *os.File
}

type line struct {
	At   time.Time       `json:"at"`
	ID   string          `json:"id"`
	Body json.RawMessage `json:"body"`
}

// openJournal replays the file into add and opens it for more. An empty path
// gives a journal that keeps nothing.
func openJournal(path string, add func(*Event) bool) (*journal, error) {
	if path == "" {
		return &journal{}, nil
	}
	if err := replay(path, add); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open CRM journal: %w", err)
	}
	return &journal{path: path, file: file}, nil
}

// replay skips a line that cannot be read: it is the torn end of a crash, and
// its sender was never told that it arrived.
func replay(path string, add func(*Event) bool) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open CRM journal: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var l line
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue
		}
		if e, err := decode(l.Body, l.At); err == nil {
			e.ID = l.ID
			add(e)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read CRM journal %s: %w", path, err)
	}
	return nil
}

func (j *journal) append(e *Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	raw, err := json.Marshal(line{At: e.At, ID: e.ID, Body: e.raw})
	if err != nil {
		return fmt.Errorf("encode CRM journal: %w", err)
	}
	if _, err := j.file.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("write CRM journal: %w", err)
	}
	return nil
}

// forget writes the file anew without the lines of a lead. After a crash in
// between the webhook comes again, and with it this.
func (j *journal) forget(lead string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	raw, err := os.ReadFile(j.path)
	if err != nil {
		return fmt.Errorf("read CRM journal: %w", err)
	}
	var kept []byte
	for text := range bytes.Lines(raw) {
		var l line
		if json.Unmarshal(text, &l) != nil {
			continue
		}
		if e, err := decode(l.Body, l.At); err == nil && e.Lead != lead {
			kept = append(kept, text...)
		}
	}
	return j.replace(kept)
}

// replace puts another content in the place of the file. Lock held.
func (j *journal) replace(content []byte) error {
	next := j.path + ".next"
	file, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write CRM journal: %w", err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), os.Rename(next, j.path)); err != nil {
		return fmt.Errorf("write CRM journal: %w", errors.Join(err, file.Close()))
	}
	old := j.file
	j.file = file
	return old.Close()
}

// Close closes the file.
func (j *journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}
