package e2e

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/box"
)

// journal is a log that can be searched while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) bytes() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.buf.Bytes())
}

func TestAfterAnErasureNothingOfThePersonIsLeft(t *testing.T) {
	dir, log := t.TempDir(), &journal{}
	b, err := box.Open(t.Context(), box.Options{
		Data: dir, Config: example(t), NATSPort: -1, Doors: box.AnyDoors(), TimeScale: 0.02,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	end := sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	p := &person{
		t: t, ingest: b.URL(box.IngestHTTP), handoff: b.URL(box.HandoffHTTP), desk: b.URL(box.DeskHTTP), inbox: b.URL(box.InboxHTTP), grpc: b.Addr(box.IngestGRPC), nats: b.NATSURL(),
	}
	p.live()
	// The search finds what is there: on the desk.
	if len(hits(t, dir, canaries()["e-mail"])) == 0 {
		t.Fatal("the search does not find what must be there before the erasure")
	}
	streams := filepath.Join(dir, "nats", "jetstream", "$G", "streams")
	for name, value := range canaries() {
		p.wait("what upstreams published is taken and gone: "+name, func() bool { return len(hits(t, filepath.Join(streams, "INBOUND"), value)) == 0 })
		for _, stream := range []string{"LEADS", "SCORES", "CAMPAIGN", "HANDOFF", "OUTBOUND", "PARKED"} {
			if name == "campaign" || name == "page" { // facts that conditions ask for
				continue
			}
			if found := hits(t, filepath.Join(streams, stream), value); len(found) > 0 {
				t.Errorf("%s says who it is: the %s is in %v", stream, name, found)
			}
		}
	}
	api := p.api()
	p.erase(api)
	t.Logf("certificate %v", p.erased(api))
	if left, err := api.ListRejects(t.Context(), &ingestv1.ListRejectsRequest{}); err != nil || len(left.GetRejects()) > 0 {
		t.Errorf("rejects of the person are left: %v, %v", left.GetRejects(), err)
	}
	p.wait("the inbox is cleared", func() bool {
		mails, err := b.Inbox.Wait(t.Context(), 0)
		return err == nil && mails[0].To == ""
	})
	snap, err := b.Live.Snapshot(t.Context())
	if err != nil || snap.Orphans > 0 || snap.Unaccounted > 0 {
		t.Errorf("conservation: %+v, %v", snap, err)
	}
	reports, err := b.Verify(t.Context())
	if err != nil {
		t.Error(err)
	}
	for _, r := range reports {
		if len(r.Mismatches) > 0 {
			t.Errorf("%s: %+v", r.Service, r.Mismatches)
		}
	}
	end()
	forgotten(t, "after the erasure", dir)
	for name, value := range canaries() {
		for _, f := range formsOf(value) {
			if bytes.Contains(log.bytes(), f) {
				t.Errorf("the %s is in the log", name)
			}
		}
	}
}
