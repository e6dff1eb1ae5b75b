package journal_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/journal"
)

func TestLinesAreNumberedInTheOrderOfTheFileAndReadBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j, err := journal.Open(path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 50 {
				id := fmt.Sprintf("w%d-%02d", w, i)
				if err := j.Write(torture.Line{Op: torture.OpSend, ID: id}, torture.Line{Op: torture.OpAnswer, ID: id}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	lines, err := journal.Read(path)
	if err != nil || len(lines) != 800 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	last := map[string]string{}
	for i, l := range lines {
		if l.N != i+1 {
			t.Fatalf("line %d has number %d", i+1, l.N)
		}
		if l.ID < last[l.ID[:2]] {
			t.Fatalf("%s stands after %s, which was written later", l.ID, last[l.ID[:2]])
		}
		last[l.ID[:2]] = l.ID
		if pair := lines[i^1]; pair.ID != l.ID {
			t.Fatalf("lines written together are apart: %s and %s", l.ID, pair.ID)
		}
	}
}

func TestAJournalIsNeverContinued(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j, err := journal.Open(path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := journal.Open(path, time.Now); err == nil {
		t.Error("a second run writes into the journal of the first")
	}
}
