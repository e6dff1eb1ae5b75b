package desk_test

import (
	"testing"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
)

func TestWhoCooledOffBeforeItsUnmergeIsKnownIsNotHandedOver(t *testing.T) {
	d := desk.New(policy())
	for _, cools := range []bool{false, true} {
		s := &handoffv1.State{Ties: &leadv1.Ties{IntoLeadId: "host", Ended: []*leadv1.Tie{{MergeId: "m", Seq: 7}}}}
		s = d.Expect(s, qualified(), t0()).State
		if cools {
			s = d.Leave(s, &scoringv1.StageChanged{To: leadv1.Stage_STAGE_NURTURING}, t0()).State
		}
		restored := desk.Told{State: &ingestv1.State{}, Events: []*ingestv1.Event{{Fact: &ingestv1.Event_Restored{Restored: &ingestv1.Restored{FromLeadId: "host"}}}}, Seq: 9}
		got := d.Follow(s, "lead-1", restored, t0())
		h := got.State.GetHandoff()
		switch {
		case cools && h != nil:
			t.Errorf("it waits for a rep: %v", h)
		case !cools && (h.GetStatus() != handoffv1.HandoffStatus_HANDOFF_STATUS_HELD || !got.WakeAt.Equal(t0()) || h.GetLeadId() != "lead-1" || h.GetRound() != 1):
			t.Errorf("it is not looked at at once: %v, at %v", h, got.WakeAt)
		}
	}
}
