package desk

import (
	"fmt"
	"time"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

// Erased says that the person was forgotten, and will never be offered again.
const Erased Reason = "erased"

// Forget is what the desk keeps of a person who was erased: that it is so, and,
// if sales was ever told of the lead, the delivery that tells it to forget too.
func (d Desk) Forget(s *handoffv1.State, lead string, now time.Time) Decision {
	before := s.GetHandoff()
	if before.GetStatus() == erased {
		return same(Erased)
	}
	t := d.sit(&handoffv1.State{Handoff: &handoffv1.Handoff{LeadId: lead, Round: before.GetRound()}}, now)
	t.settle(erased, Erased)
	t.stay().ClosedAt = t.stamp()
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_Erased{Erased: &handoffv1.Erased{}}
	})
	if told(s) {
		del := &handoffv1.Delivery{Id: fmt.Sprintf("ho_%s_%d_erased", lead, before.GetRound()), Type: TypeErased}
		t.stay().Deliveries = append(t.stay().Deliveries, del)
		t.attempt(del)
	}
	decision := t.decide(Erased)
	decision.Tombstone = true
	return decision
}

// told reports whether anything about the lead was ever meant for sales.
func told(s *handoffv1.State) bool {
	for _, h := range stays(s) {
		if len(h.GetDeliveries()) > 0 {
			return true
		}
	}
	return false
}
