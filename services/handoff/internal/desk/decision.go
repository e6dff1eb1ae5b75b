package desk

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/ties"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

// Decision is what one input makes of a state.
type Decision struct {
	State  *handoffv1.State
	Events []*handoffv1.Event
	// WakeAt is when the desk wants to look again; zero for never.
	WakeAt time.Time
	Reason Reason
	// Same says that nothing changed and nothing is to be written.
	Same bool
	// Tombstone says that the lead is forgotten.
	Tombstone bool
}

func same(why Reason) Decision { return Decision{Same: true, Reason: why} }

// Desk decides by one policy.
type Desk struct{ policy Policy }

// New makes a desk.
func New(p Policy) Desk { return Desk{policy: p} }

// Policy is what the desk decides by.
func (d Desk) Policy() Policy { return d.policy }

// sitting is one input being worked on: the state so far and the events.
type sitting struct {
	policy Policy
	lead   string
	state  *handoffv1.State
	now    time.Time
	events []*handoffv1.Event
}

func (d Desk) sit(s *handoffv1.State, now time.Time) *sitting {
	return &sitting{policy: d.policy, lead: s.GetHandoff().GetLeadId(), state: s, now: now}
}

// stay is the current handoff; nil when sales never had the lead.
func (t *sitting) stay() *handoffv1.Handoff { return t.state.GetHandoff() }

func (t *sitting) stamp() *timestamppb.Timestamp { return timestamppb.New(t.now) }

func (t *sitting) emit(set func(*handoffv1.Event)) {
	e := &handoffv1.Event{OccurredAt: t.stamp()}
	set(e)
	t.events = append(t.events, e)
}

func (t *sitting) decide(why Reason) Decision {
	return Decision{State: t.state, Events: t.events, WakeAt: sooner(wakeAt(t.state), ties.Next(t.state.GetTies(), t.now)), Reason: why}
}

// settle gives the stay a status in which no clock of gate or rep runs.
func (t *sitting) settle(status handoffv1.HandoffStatus, why Reason) {
	h := t.stay()
	h.Status, h.Reason, h.SlaDueAt, h.LookAt = status, string(why), nil, nil
}

// stays are all handoffs whose deliveries may still be under way.
func stays(s *handoffv1.State) []*handoffv1.Handoff {
	all := append([]*handoffv1.Handoff{}, s.GetHistory()...)
	if s.GetHandoff() != nil {
		all = append(all, s.GetHandoff())
	}
	return all
}

// wakeAt is the earliest moment at which something is due: a look at a held
// lead, the end of a rep's time, a delivery's next attempt.
func wakeAt(s *handoffv1.State) time.Time {
	var at time.Time
	earlier := func(ts *timestamppb.Timestamp) {
		if ts != nil && (at.IsZero() || ts.AsTime().Before(at)) {
			at = ts.AsTime()
		}
	}
	earlier(s.GetHandoff().GetLookAt())
	earlier(s.GetHandoff().GetSlaDueAt())
	for _, h := range stays(s) {
		for _, d := range h.GetDeliveries() {
			if d.GetStatus() == handoffv1.DeliveryStatus_DELIVERY_STATUS_RETRYING {
				earlier(d.GetNextAt())
			}
		}
	}
	return at
}

func due(ts *timestamppb.Timestamp, now time.Time) bool {
	return ts != nil && !ts.AsTime().After(now)
}

// sooner is the earlier one of two moments of which either may be never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
