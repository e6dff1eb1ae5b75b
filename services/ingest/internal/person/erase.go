package person

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// erase forgets a person. Nothing of the state before is part of the one after
// it: the tombstone is the same whoever it was.
func erase(st *ingestv1.State, in ledger.Input, now time.Time) (Change, error) {
	cmd := &ingestv1.Erase{}
	if err := proto.Unmarshal(in.Data, cmd); err != nil {
		return Change{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	switch {
	case st.GetErasedAt() != nil:
		return ledger.Unchanged[*ingestv1.State](ReasonErased), nil
	case st.GetLead() == nil:
		return Change{}, fmt.Errorf("lead %s: %w", in.Lead, ErrUnknownLead)
	}
	at := timestamppb.New(now)
	return Change{
		State: &ingestv1.State{Lead: &leadv1.Lead{LeadId: in.Lead, UpdatedAt: at}, ErasedAt: at},
		Events: []proto.Message{&ingestv1.Event{OccurredAt: at, Fact: &ingestv1.Event_Erased{
			Erased: &ingestv1.Erased{Reason: cmd.GetReason()},
		}}},
		Reason: ReasonErased, Tombstone: true,
	}, nil
}
