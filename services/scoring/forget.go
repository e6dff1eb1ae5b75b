package scoring

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/stage"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// forget is what scoring keeps of a person who was erased: the stage, which is
// an end, and since when. Where the lead stood before is not told any more.
func forget(lead string, now time.Time) ledger.Change[*scoringv1.State] {
	at := timestamppb.New(now)
	d := stage.Next(leadv1.Stage_STAGE_UNSPECIFIED, stage.Erased)
	return ledger.Change[*scoringv1.State]{
		State: &scoringv1.State{Score: &scoringv1.Score{
			LeadId: lead, Stage: d.To, StageSince: at, StageReason: string(d.Reason), At: at,
		}},
		Events: []proto.Message{&scoringv1.Event{OccurredAt: at, Fact: &scoringv1.Event_StageChanged{
			StageChanged: &scoringv1.StageChanged{To: d.To, Reason: string(d.Reason)},
		}}},
		Reason: string(ReasonErased), Tombstone: true,
	}
}
