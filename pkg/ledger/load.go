package ledger

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// multiGet is how many subjects one read of the log may name.
const multiGet = 1000

// recall fills in the entries that the lane has in memory, and those of leads
// that are most likely new.
func (ln *lane[S]) recall(works []*work[S]) {
	for _, w := range works {
		if e, ok := ln.cache.get(w.lead); ok {
			w.ent = e
			e.sure = false
		} else if w.items[0].newborn() {
			w.ent = ln.l.newEntry(0, nil)
		}
	}
}

// load fills in the other entries: from Redis, and what Redis does not have from
// the log.
func (l *Ledger[S]) load(ctx context.Context, works []*work[S]) error {
	var missing []string
	for _, w := range works {
		if w.ent == nil {
			missing = append(missing, w.lead)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	found := l.openCached(ctx, l.cache.get(ctx, missing))
	rest := missing[:0:0]
	for _, lead := range missing {
		if _, ok := found[lead]; !ok {
			rest = append(rest, lead)
		}
	}
	logged, err := l.readLast(ctx, rest)
	if err != nil {
		return err
	}
	for _, w := range works {
		if w.ent != nil {
			continue
		}
		if c, ok := found[w.lead]; ok {
			w.ent = l.newEntry(c.seq, c.rec)
			continue
		}
		w.ent = logged[w.lead]
	}
	return nil
}

// readLast reads the current records of leads from the log. Every lead asked
// for is in the answer; one without a record has sequence 0.
func (l *Ledger[S]) readLast(ctx context.Context, leads []string) (map[string]*entry[S], error) {
	entries := make(map[string]*entry[S], len(leads))
	for len(leads) > 0 {
		n := min(len(leads), multiGet)
		if err := l.readSome(ctx, leads[:n], entries); err != nil {
			return nil, err
		}
		leads = leads[n:]
	}
	return entries, l.openEntries(ctx, entries)
}

func (l *Ledger[S]) readSome(ctx context.Context, leads []string, entries map[string]*entry[S]) error {
	subjects := make([]string, len(leads))
	for i, lead := range leads {
		subjects[i] = bus.Subject(l.o.Stream, lead, bus.KindState)
		entries[lead] = l.newEntry(0, nil)
		entries[lead].sure = true
	}
	msgs, err := l.d.Bus.LastMsgs(ctx, l.o.Stream, subjects)
	if err != nil {
		return fmt.Errorf("read states: %w", err)
	}
	for i, lead := range leads {
		raw := msgs[subjects[i]]
		if raw == nil {
			continue
		}
		rec, err := decodeRecord(raw.Data)
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", l.o.Stream, raw.Sequence, err)
		}
		entries[lead].seq, entries[lead].rec = raw.Sequence, rec
	}
	return nil
}

func decodeRecord(raw []byte) (*ledgerv1.Record, error) {
	rec := &ledgerv1.Record{}
	if err := proto.Unmarshal(raw, rec); err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	return rec, nil
}
