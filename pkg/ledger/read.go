package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/nurturehq/nurture/pkg/bus"
)

// Get reads a lead's current state from the log; ErrNotFound when it has none.
func (l *Ledger[S]) Get(ctx context.Context, lead string) (Entry[S], error) {
	return l.get(ctx, lead, true)
}

// Peek reads a lead's current state as Redis has it, which may be a moment old
// where another process writes it, or from the log; ErrNotFound when it has none.
func (l *Ledger[S]) Peek(ctx context.Context, lead string) (Entry[S], error) {
	return l.get(ctx, lead, false)
}

func (l *Ledger[S]) get(ctx context.Context, lead string, fresh bool) (Entry[S], error) {
	found, err := l.BatchGet(ctx, []string{lead}, fresh)
	if err != nil {
		return Entry[S]{}, err
	}
	e, ok := found[lead]
	if !ok {
		return Entry[S]{}, fmt.Errorf("%s has no lead %q: %w", l.o.Service, lead, ErrNotFound)
	}
	return e, nil
}

// BatchGet reads the current states of leads; one without a state is not in
// the answer. fresh reads the log itself. Without it Redis answers what it has,
// which may be a moment old.
func (l *Ledger[S]) BatchGet(ctx context.Context, leads []string, fresh bool) (map[string]Entry[S], error) {
	out := make(map[string]Entry[S], len(leads))
	rest := leads
	if !fresh {
		rest = nil
		found := l.openCached(ctx, l.cache.get(ctx, leads))
		for _, lead := range leads {
			c, ok := found[lead]
			if !ok {
				rest = append(rest, lead)
				continue
			}
			e, err := l.public(lead, l.newEntry(c.seq, c.rec))
			if err != nil {
				return nil, err
			}
			out[lead] = e
		}
	}
	last, err := l.readLast(ctx, rest)
	if err != nil {
		return nil, err
	}
	for lead, e := range last {
		if e.rec == nil {
			continue
		}
		if out[lead], err = l.public(lead, e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// History reads all records of a lead that are kept, oldest first; ErrNotFound
// when there are none.
func (l *Ledger[S]) History(ctx context.Context, lead string) ([]Entry[S], error) {
	var all []Entry[S]
	for raw, err := range l.d.Bus.Read(ctx, l.o.Stream, bus.Subject(l.o.Stream, lead, bus.KindState), 1) {
		if err != nil {
			return nil, fmt.Errorf("read history of lead %q: %w", lead, err)
		}
		e, err := l.record(ctx, raw)
		if errors.Is(err, ErrForgotten) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no history of lead %q: %w", l.o.Service, lead, ErrNotFound)
	}
	return all, nil
}
