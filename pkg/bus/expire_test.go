package bus_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// onDisk reports whether a word is in a file below a directory.
func onDisk(t *testing.T, dir, word string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			raw, _ := os.ReadFile(path)
			found = found || bytes.Contains(raw, []byte(word))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRejectsWhoseTimeIsOverAreNotOnDiskAnyMore(t *testing.T) {
	srv := bustest.Server(t)
	b := bustest.Connect(t, srv)
	keep := func(source, word string) {
		t.Helper()
		if err := b.ParkReject(t.Context(), &ledgerv1.Parked{Service: "ingest", Source: source, Kind: "form", Reason: "invalid", Data: []byte(word)}, word); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Park(t.Context(), &ledgerv1.Parked{Service: "scoring", LeadId: "l1", Stream: bus.Scores, Seq: 1, Reason: bus.ReasonRefused}); err != nil {
		t.Fatal(err)
	}
	keep("website", "canary-one")
	keep("shop", "canary-two")
	keep("website", "canary-three")
	all, err := b.ListParked(t.Context())
	if err != nil || len(all) != 4 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	last, err := b.LastMsg(t.Context(), bus.Parked, bus.RejectSubject("website"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := b.WipeRejects(t.Context(), last.Time, 1); n != 1 || err != nil {
		t.Errorf("at most one: %d, %v", n, err)
	}
	if n, err := b.WipeRejects(t.Context(), last.Time, 100); n != 1 || err != nil {
		t.Errorf("the other: %d, %v", n, err)
	}
	if n, err := b.WipeRejects(t.Context(), last.Time, 100); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	for word, want := range map[string]bool{"canary-one": false, "canary-two": false, "canary-three": true} {
		if onDisk(t, srv.JetStreamConfig().StoreDir, word) != want {
			t.Errorf("%s is on disk: %v", word, !want)
		}
	}
	if all, err = b.ListParked(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("what a service parked, and the young one, are left: %d, %v", len(all), err)
	}
}
