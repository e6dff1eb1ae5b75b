package sender

import (
	"context"
	"errors"
	"slices"

	"github.com/nurturehq/nurture/pkg/bus"
)

// unpark takes touches off the list of the ambiguous: what became of them is
// known after all. It reports whether they are off; doing it again is harmless.
func (s *Sender) unpark(ctx context.Context, lead string, touches []string) bool {
	if len(touches) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, outcomeTimeout)
	defer cancel()
	parked, err := s.Bus.ListParkedOf(ctx, "campaign", lead)
	for _, p := range parked {
		if err != nil {
			break
		}
		if p.GetReason() == bus.ReasonAmbiguous && slices.ContainsFunc(touches, func(touch string) bool { return claimOf(lead, touch) == p.GetSubject() }) {
			err = s.Bus.Dismiss(ctx, p.Seq)
		}
	}
	if err != nil && !errors.Is(err, bus.ErrNoMessage) {
		s.Log.WarnContext(ctx, "an ambiguous touch that was settled is still parked", "lead_id", lead, "error", err)
		return false
	}
	return true
}

// claimOf is the subject of a touch's claim, which an ambiguous touch is parked
// under.
func claimOf(lead, touch string) string {
	return bus.Subject(bus.Campaign, lead, bus.KindClaim, touch)
}
