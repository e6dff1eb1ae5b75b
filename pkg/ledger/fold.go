package ledger

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// Fold decides what one input changes about one lead. It is pure: the same
// state, input and now give the same Change, today, in a replay and in a
// simulation. It may modify the state it is given and return it; the ledger
// never looks at that state again when Fold returns an error.
//
// An error is permanent (the input is parked, or returned to the caller of
// Update) unless it is wrapped by Transient.
type Fold[S proto.Message] func(state S, in Input, now time.Time) (Change[S], error)

// Input is one thing that happened to one lead: a message from a stream, a
// fired wake-up, or a command.
type Input struct {
	// Lead is the key: the lead the input is about.
	Lead string
	// Stream and Seq say where it was read; empty and 0 for a command.
	Stream string
	Seq    uint64
	// Kind is the last token of the subject ("state", "due", "outcome"), or the
	// name of a command. ID is what follows it in the subject, or the command's id.
	Kind string
	ID   string
	// Tombstone says that the input is a record by which another service forgot
	// the lead.
	Tombstone bool
	// Time is the input's own time, the fold's now.
	Time time.Time
	// Data is the message's payload or the encoded command.
	Data []byte
	// View is what Options.Enrich added for this decision. It is kept in the
	// record's cause, so that the decision can be verified and explained later.
	View []byte
}

// Due reports whether the input is a fired wake-up of this service.
func (in Input) Due() bool { return in.Kind == "due" }

// Change is a decision.
type Change[S proto.Message] struct {
	// State is the whole new state. Ignored when Same is true.
	State S
	// Events are the facts that other services and people read, in order.
	Events []proto.Message
	// WakeAt is when the lead wants to be looked at again whatever happens; zero
	// for never. It replaces the previous wish. Ignored when Same is true.
	WakeAt time.Time
	// Reason names the decision: a typed constant of the service, shown to people.
	Reason string
	// Same says that the input changes nothing: no record is written for it.
	Same bool
	// Urgent says that somebody waits for what the events ask for. With
	// Options.UrgentCopies there is a copy of the record for whoever reads nothing else.
	Urgent bool
	// Tombstone says that the lead is forgotten: the record is stored without a
	// codec, and what was recorded before it need not be there any more.
	Tombstone bool
}

// Unchanged is the decision that an input changes nothing.
func Unchanged[S proto.Message](reason string) Change[S] {
	return Change[S]{Same: true, Reason: reason}
}

// Command is something a caller asks for now. It is data, so that the record
// can keep it and a replay can fold it again.
type Command struct {
	// ID makes a repeat harmless: within the latest ids a state remembers, a
	// second command of the same id changes nothing. Empty: one is made up.
	ID string
	// Kind names the command in the imperative: "accept", "capture".
	Kind string
	// Data is the encoded request.
	Data []byte
	// Newborn says that the lead most likely has no record yet, which spares a
	// look for one. A wrong guess costs a second try, nothing else.
	Newborn bool
	// Patient says that the answer may take a moment longer while the service is
	// busy, so that many commands share a commit.
	Patient bool
	// Escort are messages that the record must not be without; nil: none.
	Escort *Escort
}

// Entry is a lead's state as it is stored, and where.
type Entry[S proto.Message] struct {
	Lead  string
	State S
	// Seq is the sequence of the record in the service's stream; 0 when the lead
	// has none yet.
	Seq uint64
	// Record is the latest record; nil when the lead has none yet.
	Record *ledgerv1.Record
}

// Result is what became of a command.
type Result[S proto.Message] struct {
	Entry[S]
	// Reason is the fold's.
	Reason string
	// Duplicate is true when a command of this id had been applied before.
	Duplicate bool
}

// Errors of the ledger.
var (
	// ErrNotFound: the service has no record of this lead.
	ErrNotFound = errors.New("lead not found")
	// ErrUnavailable: the log cannot take a write now; try again later.
	ErrUnavailable = errors.New("log unavailable")
	// ErrOvertaken: the condition of a message that was to be stored together with
	// the record does not hold, and nothing was stored.
	ErrOvertaken = errors.New("somebody else was faster")
	// ErrStopped: the ledger is shutting down.
	ErrStopped = errors.New("ledger stopped")
)

type transientError struct{ error }

func (e transientError) Unwrap() error { return e.error }

// Transient marks an error of a fold or an Enrich as passing: the ledger waits
// and tries the same input again instead of parking it.
func Transient(err error) error {
	if err == nil {
		return nil
	}
	return transientError{err}
}

// IsTransient reports whether an error was marked by Transient.
func IsTransient(err error) bool {
	var t transientError
	return errors.As(err, &t)
}

// ReadUpTo is how far the service that wrote a "state" input had read a stream for
// this lead: the sequence of the last of its inputs; 0 when it had read none.
func ReadUpTo(in Input, stream string) (uint64, error) {
	rec := &ledgerv1.Record{}
	if err := proto.Unmarshal(in.Data, rec); err != nil {
		return 0, fmt.Errorf("decode record %s/%d: %w", in.Stream, in.Seq, err)
	}
	for _, m := range rec.GetApplied() {
		if m.GetStream() == stream {
			return m.GetSeq(), nil
		}
	}
	return 0, nil
}

// Records decodes a "state" input of another service: its record, its whole
// state into state, and its events, each made by newEvent.
func Records[S, E proto.Message](in Input, state S, newEvent func() E) ([]E, error) {
	rec := &ledgerv1.Record{}
	if err := proto.Unmarshal(in.Data, rec); err != nil {
		return nil, fmt.Errorf("decode record %s/%d: %w", in.Stream, in.Seq, err)
	}
	if err := proto.Unmarshal(rec.GetState(), state); err != nil {
		return nil, fmt.Errorf("decode state %s/%d: %w", in.Stream, in.Seq, err)
	}
	events := make([]E, 0, len(rec.GetEvents()))
	for _, raw := range rec.GetEvents() {
		e := newEvent()
		if err := proto.Unmarshal(raw, e); err != nil {
			return nil, fmt.Errorf("decode event %s/%d: %w", in.Stream, in.Seq, err)
		}
		events = append(events, e)
	}
	return events, nil
}
