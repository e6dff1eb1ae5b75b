package ledger

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// entry is a lead's state in the hands of a lane.
type entry[S proto.Message] struct {
	// state is the decoded state; whole is false after a fold that may have
	// half-changed it, and it is decoded again from rec.
	state S
	whole bool
	seq   uint64
	rec   *ledgerv1.Record // nil for a lead without a record
	// sure: it was read from the log, or written, in this pass of the lane.
	sure bool
}

// newEntry makes the entry of a stored record; rec nil is a lead never seen.
func (l *Ledger[S]) newEntry(seq uint64, rec *ledgerv1.Record) *entry[S] {
	return &entry[S]{seq: seq, rec: rec}
}

// decode makes the state whole.
func (l *Ledger[S]) decode(e *entry[S]) error {
	if e.whole {
		return nil
	}
	e.state = l.o.New()
	if e.rec != nil {
		if err := proto.Unmarshal(e.rec.GetState(), e.state); err != nil {
			return fmt.Errorf("decode state at %s/%d: %w", l.o.Stream, e.seq, err)
		}
	}
	e.whole = true
	return nil
}

// public is the entry as callers see it, with a state of their own.
func (l *Ledger[S]) public(lead string, e *entry[S]) (Entry[S], error) {
	own := l.newEntry(e.seq, e.rec)
	if err := l.decode(own); err != nil {
		return Entry[S]{}, err
	}
	return Entry[S]{Lead: lead, State: own.state, Seq: own.seq, Record: own.rec}, nil
}

// encode is the one encoding of states and events: the same message always
// gives the same bytes, which is what Verify compares.
func encode(m proto.Message) ([]byte, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return raw, nil
}
