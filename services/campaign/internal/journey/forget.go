package journey

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Forgotten says that the person was erased. Nothing is planned or sent any more, and
// what was is not kept.
const Forgotten = "erased"

// Forget is what a journey keeps of a person who was erased: that it ended. A
// touch that the sender is working on finds that it is not planned any more.
func Forget(lead string, now time.Time) Change {
	return Change{
		State:  &campaignv1.State{LeadId: lead, Stage: leadv1.Stage_STAGE_ERASED, StageAt: timestamppb.New(now)},
		Reason: Forgotten, Tombstone: true,
	}
}
