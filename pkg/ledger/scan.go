package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nurturehq/nurture/pkg/bus"
)

// scanChunk is how many states one request of a scan reads.
const scanChunk = 500

// All reads the current state of every lead, bucket after bucket: those that
// begin meanwhile may be left out. The first error ends it.
func (l *Ledger[S]) All(ctx context.Context) iter.Seq2[Entry[S], error] {
	return func(yield func(Entry[S], error) bool) {
		for b := range bus.Buckets {
			leads, err := l.leadsOf(ctx, fmt.Sprintf("%02d", b))
			if err != nil {
				yield(Entry[S]{}, err)
				return
			}
			for chunk := range slices.Chunk(leads, scanChunk) {
				if !l.yieldStates(ctx, chunk, yield) {
					return
				}
			}
		}
	}
}

func (l *Ledger[S]) yieldStates(ctx context.Context, leads []string, yield func(Entry[S], error) bool) bool {
	found, err := l.BatchGet(ctx, leads, true)
	if err != nil {
		yield(Entry[S]{}, err)
		return false
	}
	for _, lead := range leads {
		if e, ok := found[lead]; ok && !yield(e, nil) {
			return false
		}
	}
	return true
}

// leadsOf lists the leads of a bucket, sorted.
func (l *Ledger[S]) leadsOf(ctx context.Context, bucket string) ([]string, error) {
	s, err := l.d.Bus.JS.Stream(ctx, l.o.Stream)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", l.o.Stream, bus.Classify(err))
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(bus.Filter(l.o.Stream, bucket, bus.KindState)))
	if err != nil {
		return nil, fmt.Errorf("list leads of bucket %s: %w", bucket, bus.Classify(err))
	}
	leads := make([]string, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		if lead, _, _, ok := bus.Split(subject); ok {
			leads = append(leads, lead)
		}
	}
	slices.Sort(leads)
	return leads, nil
}

// Log reads all records that are kept, in the order of the log, up to what was
// there when it began. The first error ends it.
func (l *Ledger[S]) Log(ctx context.Context) iter.Seq2[Entry[S], error] {
	return func(yield func(Entry[S], error) bool) {
		s, err := l.d.Bus.JS.Stream(ctx, l.o.Stream)
		if err != nil {
			yield(Entry[S]{}, fmt.Errorf("open stream %s: %w", l.o.Stream, bus.Classify(err)))
			return
		}
		last := s.CachedInfo().State.LastSeq
		for raw, err := range l.d.Bus.Read(ctx, l.o.Stream, bus.Filter(l.o.Stream, "*", bus.KindState), 1) {
			if err != nil {
				yield(Entry[S]{}, fmt.Errorf("read %s: %w", l.o.Stream, err))
				return
			}
			if raw.Sequence > last {
				return
			}
			e, err := l.record(ctx, raw)
			if errors.Is(err, ErrForgotten) {
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// record makes the entry of a record as it was folded; ErrForgotten when it
// cannot be read any more.
func (l *Ledger[S]) record(ctx context.Context, raw *jetstream.RawStreamMsg) (Entry[S], error) {
	lead, _, _, _ := bus.Split(raw.Subject)
	rec, err := decodeRecord(raw.Data)
	if err == nil {
		rec, err = l.openOne(ctx, lead, rec)
	}
	if err != nil {
		return Entry[S]{}, fmt.Errorf("read %s/%d: %w", l.o.Stream, raw.Sequence, err)
	}
	return l.public(lead, l.newEntry(raw.Sequence, rec))
}
