// Package journal is the ledger of a torture run: a file of lines, each of
// which is on the disk before what it announces happens. Nothing under test
// writes or reads it.
package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// Journal appends lines. It is safe for concurrent use.
type Journal struct {
	file  *os.File
	now   func() time.Time
	queue chan entry
	ended chan error
}

type entry struct {
	lines []torture.Line
	done  chan error
}

// maxGroup bounds the entries that share one fsync.
const maxGroup = 512

// Open begins a new journal; there must be none at the path.
func Open(path string, now func() time.Time) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("begin journal: %w", err)
	}
	j := &Journal{file: f, now: now, queue: make(chan entry, maxGroup), ended: make(chan error, 1)}
	go j.run()
	return j, nil
}

// Write numbers the lines, stamps them, and returns when they are on the disk.
func (j *Journal) Write(lines ...torture.Line) error {
	e := entry{lines: lines, done: make(chan error, 1)}
	j.queue <- e
	return <-e.done
}

// Close ends the journal. Nobody may write any more.
func (j *Journal) Close() error {
	close(j.queue)
	return errors.Join(<-j.ended, j.file.Close())
}

// run writes what waits in one go, and lets go of the writers together.
func (j *Journal) run() {
	n, failed := 0, error(nil)
	for first := range j.queue {
		group := []entry{first}
		for more := true; more && len(group) < maxGroup; {
			select {
			case e, open := <-j.queue:
				if more = open; open {
					group = append(group, e)
				}
			default:
				more = false
			}
		}
		if failed == nil {
			n, failed = j.commit(group, n)
		}
		for _, e := range group {
			e.done <- failed
		}
	}
	j.ended <- failed
}

func (j *Journal) commit(group []entry, n int) (int, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for _, e := range group {
		for _, l := range e.lines {
			n++
			l.N, l.At = n, j.now().UTC()
			if err := enc.Encode(l); err != nil {
				return n, fmt.Errorf("encode journal line: %w", err)
			}
		}
	}
	if _, err := j.file.Write(buf.Bytes()); err != nil {
		return n, fmt.Errorf("write journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return n, fmt.Errorf("fsync journal: %w", err)
	}
	return n, nil
}

// Read reads a journal.
func Read(path string) ([]torture.Line, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer f.Close()
	var lines []torture.Line
	for dec := json.NewDecoder(bufio.NewReader(f)); ; {
		var l torture.Line
		err := dec.Decode(&l)
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read journal after line %d: %w", len(lines), err)
		}
		lines = append(lines, l)
	}
}
