package bus_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/engines"
)

const canary = "ann@canary.example"

func send(t *testing.T, b *bus.Bus, subject string) uint64 {
	t.Helper()
	seq, err := b.Publish(t.Context(), &nats.Msg{Subject: subject, Data: []byte(canary)})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func read(t *testing.T, b *bus.Bus, durable, subject string, n int) {
	t.Helper()
	cons, err := b.JS.CreateOrUpdateConsumer(t.Context(), bus.Inbound, jetstream.ConsumerConfig{
		Durable: durable, FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		m, err := cons.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func cleared(t *testing.T, tr bus.Transit) bool {
	t.Helper()
	whole, err := tr.Clear(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

func left(t *testing.T, b *bus.Bus) uint64 {
	t.Helper()
	s, err := b.JS.Stream(t.Context(), bus.Inbound)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func TestWhatIsOnItsWayGoesWhenEveryReaderHasIt(t *testing.T) {
	b := bustest.New(t)
	tr := bus.Transit{Bus: b, Stream: bus.Inbound, Readers: map[string]string{"all": "inbound.>", "some": "inbound.*.some"}}
	send(t, b, "inbound.web")
	send(t, b, "inbound.web.some")
	send(t, b, "inbound.web")
	steps := []struct {
		what string
		do   func()
		want uint64
	}{
		{"no reader was ever there", func() {}, 0},
		{"one reader has read two", func() { read(t, b, "all", "inbound.>", 2) }, 1},
		{"it has read all", func() { read(t, b, "all", "inbound.>", 1) }, 1},
		{"the other one is there and has read nothing", func() { read(t, b, "some", "inbound.*.some", 0) }, 1},
	}
	for _, s := range steps {
		s.do()
		if upTo, err := tr.Handled(t.Context()); err != nil || upTo > s.want || cleared(t, tr) {
			t.Errorf("%s: handled up to %d, %v; or the stream was cleared", s.what, upTo, err)
		}
	}
	if n := left(t, b); n != 3 {
		t.Fatalf("%d of 3 messages are left", n)
	}
	read(t, b, "some", "inbound.*.some", 1)
	if !cleared(t, tr) || left(t, b) != 0 {
		t.Error("all was read, and the stream was not cleared")
	}
	if !cleared(t, tr) {
		t.Error("an empty stream is not clear")
	}
	send(t, b, "inbound.web")
	if cleared(t, tr) || left(t, b) != 1 {
		t.Error("a message that nobody has read yet was removed")
	}
}

func TestWhileSomethingWaitsOnlyAFullStreamIsTrimmed(t *testing.T) {
	b := bustest.New(t)
	tr := bus.Transit{Bus: b, Stream: bus.Inbound, Readers: map[string]string{"all": "inbound.>"}}
	for range 5 {
		send(t, b, "inbound.web")
	}
	read(t, b, "all", "inbound.>", 3)
	read(t, b, "some", "inbound.*.some", 0) // one that nothing is for holds up nothing
	for _, c := range []struct{ most, want uint64 }{{1 << 20, 5}, {1, 2}, {1, 2}} {
		if err := tr.Trim(t.Context(), c.most); err != nil || left(t, b) != c.want {
			t.Errorf("above %d bytes: %d messages are left, want %d; %v", c.most, left(t, b), c.want, err)
		}
	}
	read(t, b, "all", "inbound.>", 2)
	if err := tr.Trim(t.Context(), 1<<20); err != nil || left(t, b) != 0 {
		t.Errorf("all was read and %d messages are left; %v", left(t, b), err)
	}
}

// TestAClearedStreamHasNoBytesAndCountsOn: ids are made of sequences, so one must
// never come twice, whatever is left of the files.
func TestAClearedStreamHasNoBytesAndCountsOn(t *testing.T) {
	for _, indexed := range []bool{true, false} {
		dir := t.TempDir()
		last := uint64(0)
		at(t, dir, func(b *bus.Bus) {
			tr := bus.Transit{Bus: b, Stream: bus.Inbound, Readers: map[string]string{"all": "inbound.>"}}
			for range 5 {
				last = send(t, b, "inbound.web")
			}
			read(t, b, "all", "inbound.>", 3)
			if err := tr.Trim(t.Context(), 1); err != nil { // leaves the bytes of three in the file of the others
				t.Fatal(err)
			}
			if !holds(t, dir) {
				t.Fatal("the bytes are not where they are looked for")
			}
			read(t, b, "all", "inbound.>", 2)
			if !cleared(t, tr) {
				t.Error("not clear")
			}
			if holds(t, dir) {
				t.Error("bytes of a message are on disk after the stream was cleared")
			}
		})
		if !indexed {
			unindex(t, dir)
		}
		at(t, dir, func(b *bus.Bus) {
			if seq := send(t, b, "inbound.web"); seq != last+1 {
				t.Errorf("with index files %v: the sequence after %d is %d", indexed, last, seq)
			}
			read(t, b, "all", "inbound.>", 1)
		})
	}
}

// at does something with a log in a directory.
func at(t *testing.T, dir string, do func(b *bus.Bus)) {
	t.Helper()
	srv, err := engines.StartNATS(t.Context(), engines.NATSOptions{Dir: dir, Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer engines.StopNATS(srv)
	b, err := bus.Connect(context.WithoutCancel(t.Context()), bus.Options{Name: t.Name(), Server: srv})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Declare(t.Context()); err != nil {
		t.Fatal(err)
	}
	do(b)
}

func files(t *testing.T, dir string, each func(path string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			each(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, dir string) (found bool) {
	t.Helper()
	files(t, dir, func(path string) {
		raw, _ := os.ReadFile(path)
		found = found || bytes.Contains(raw, []byte(canary))
	})
	return found
}

func unindex(t *testing.T, dir string) {
	t.Helper()
	files(t, dir, func(path string) {
		if filepath.Base(path) == "index.db" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	})
}
