package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/nurturehq/nurture/pkg/bus"
)

const (
	// leadsPerBatch leads of three messages each fill an atomic batch.
	leadsPerBatch = 333
	// halfOfAll is how many of 64 connections wait for one commit while the others
	// are answered and ask again.
	halfOfAll = 32
)

// rawBirths writes what ingest wrote for a new lead, its claim, its key and its
// first record, n times under other names, and nothing else: the same messages
// in number, size, headers and shape of subject, in atomic batches as large as the
// server takes. It returns leads per second of the faster of one writer and two.
func (r *rig) rawBirths(ctx context.Context, n int) (float64, error) {
	sample, err := r.born(ctx)
	if err != nil {
		return 0, err
	}
	best := 0.0
	for writers := 1; writers <= 2; writers++ {
		rate, err := r.writeBirths(ctx, sample, births{name: "full", n: n / 2, per: leadsPerBatch, writers: writers})
		if err != nil {
			return 0, err
		}
		best = max(best, rate)
	}
	return best, nil
}

// rawHalves is rawBirths in the batches that 64 connections make: leads per second
// of one writer that commits as many leads as half of them send.
func (r *rig) rawHalves(ctx context.Context, n int) (float64, error) {
	sample, err := r.born(ctx)
	if err != nil {
		return 0, err
	}
	return r.writeBirths(ctx, sample, births{name: "half", n: n, per: halfOfAll, writers: 1})
}

// births are n leads, so many to a batch.
type births struct {
	name            string
	n, per, writers int
}

// born reads the messages of the lead that was born last.
func (r *rig) born(ctx context.Context) ([]*jetstream.RawStreamMsg, error) {
	stream, err := r.bus.JS.Stream(ctx, bus.Leads)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", bus.Leads, err)
	}
	record, err := stream.GetLastMsgForSubject(ctx, bus.Filter(bus.Leads, "*", bus.KindState))
	if err != nil {
		return nil, fmt.Errorf("read the last record: %w", err)
	}
	lead, _, _, _ := bus.Split(record.Subject)
	sample := []*jetstream.RawStreamMsg{record}
	for _, subject := range []string{bus.Subject(bus.Leads, lead, bus.KindKey), bus.IdentitySubject("anonymous", "*")} {
		msg, err := stream.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return nil, fmt.Errorf("read what a lead begins with, %s: %w", subject, err)
		}
		sample = append(sample, msg)
	}
	return sample, nil
}

// writeBirths writes leads and returns how many a second.
func (r *rig) writeBirths(ctx context.Context, sample []*jetstream.RawStreamMsg, b births) (float64, error) {
	firsts := make(chan int, b.n/b.per+1)
	for first := 0; first < b.n; first += b.per {
		firsts <- first
	}
	close(firsts)
	errs := make(chan error, b.writers)
	var wg sync.WaitGroup
	start := time.Now()
	for range b.writers {
		wg.Go(func() {
			for first := range firsts {
				var msgs []*nats.Msg
				for i := first; i < min(first+b.per, b.n); i++ {
					msgs = append(msgs, renamed(sample, fmt.Sprintf("%s %d of %d", b.name, i, b.writers))...)
				}
				if _, err := jetstreamext.PublishMsgBatch(ctx, r.bus.JS, msgs, jetstreamext.BatchFlowControl{AckFirst: false}); err != nil {
					errs <- fmt.Errorf("write raw batch: %w", err)
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
		return float64(b.n) / time.Since(start).Seconds(), nil
	}
}

// renamed is the sample as another lead: ids differ, lengths do not.
func renamed(sample []*jetstream.RawStreamMsg, name string) []*nats.Msg {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	msgs := make([]*nats.Msg, len(sample))
	for i, m := range sample {
		parts := strings.Split(m.Subject, ".")
		if parts[1] == "identity" {
			parts[3] = (id + id)[:len(parts[3])]
		} else {
			parts[3] = id[:len(parts[3])]
			parts[2] = bus.BucketOf(parts[3])
		}
		msgs[i] = bus.ExpectLast(&nats.Msg{Subject: strings.Join(parts, "."), Data: m.Data, Header: nats.Header{}}, 0)
		if born := m.Header.Get(bus.HeaderBorn); born != "" {
			msgs[i].Header.Set(bus.HeaderBorn, born)
		}
	}
	return msgs
}
