package person

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/pkg/ledger"
)

// Kinds of commands, for the record's cause.
const (
	KindCapture  = "capture"
	KindIdentify = "identify"
	KindTrack    = "track"
	KindConsent  = "consent"
	KindErase    = "erase"
	KindRejudge  = "rejudge"
	KindStep     = "merge_step"
	KindRehouse  = "rehouse"
	// KindAccount tells about a company and nobody in it: no lead has such a command.
	KindAccount = "account"
)

// Submission is one event on its way to a lead: what every adapter makes of
// what it received.
type Submission struct {
	// ID makes repeats harmless; unique within all sources. Empty: none.
	ID string
	// Kind names the command.
	Kind string
	// Lead is set when the sender knows the lead; then no other identity is
	// looked at, and the lead must exist.
	Lead string
	// Apply is what is told, normalised.
	Apply *ingestv1.Apply
}

// Outcome is what became of a submission.
type Outcome struct {
	Lead string
	// Created: the lead did not exist before.
	Created bool
	// Duplicate: the submission had been recorded before; nothing changed.
	Duplicate bool
	// Err says why nothing was recorded; the other fields are then empty.
	Err error
}

// Command is the submission as the ledger takes it.
func (s *Submission) Command() (ledger.Command, error) {
	data, err := proto.Marshal(s.Apply)
	if err != nil {
		return ledger.Command{}, fmt.Errorf("encode %s: %w", s.Kind, err)
	}
	return ledger.Command{ID: s.ID, Kind: s.Kind, Data: data}, nil
}

// Scoped makes a sender's id unique within all sources; empty stays empty.
func Scoped(source, id string) string {
	if id == "" {
		return ""
	}
	return source + "/" + id
}
