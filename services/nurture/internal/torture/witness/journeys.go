package witness

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

type campaign struct{ finals[*campaignv1.State] }

func newCampaign() *campaign { return &campaign{newFinals[*campaignv1.State]()} }

func (c *campaign) tell(m message) ([]torture.Fact, error) {
	switch m.kind {
	case bus.KindState:
		state := &campaignv1.State{}
		rec, _, err := record(m.data, state, func() *campaignv1.Event { return &campaignv1.Event{} })
		if err != nil {
			return nil, err
		}
		c.set(m, state)
		return outcomes(m, rec.GetCauses())
	case bus.KindClaim:
		f := m.fact(torture.Claim)
		f.ID = m.id
		return []torture.Fact{f}, nil
	}
	return nil, nil
}

// outcomes are what the sender told: its own words, which a record keeps as what
// caused it.
func outcomes(m message, causes []*ledgerv1.Cause) ([]torture.Fact, error) {
	var facts []torture.Fact
	for _, c := range causes {
		if c.GetStream() != "" || c.GetKind() != bus.KindOutcome {
			continue
		}
		o := &campaignv1.Outcome{}
		if err := proto.Unmarshal(c.GetCommand(), o); err != nil {
			return nil, fmt.Errorf("decode outcome: %w", err)
		}
		f := m.fact(torture.Outcome)
		f.ID, f.Status, f.Reason = o.GetTouchId(), name(o.GetStatus(), "TOUCH_STATUS_"), o.GetReason()
		facts = append(facts, f)
	}
	return facts, nil
}

func (c *campaign) last() []torture.Fact {
	return c.each(func(m message, s *campaignv1.State) []torture.Fact {
		facts := awaits(m, s.GetTies())
		for _, t := range s.GetTouches() {
			f := m.fact(torture.Touch)
			f.ID, f.Ref, f.Type = t.GetId(), t.GetProgram(), t.GetStep()
			f.Status, f.Reason = name(t.GetStatus(), "TOUCH_STATUS_"), t.GetReason()
			facts = append(facts, f)
		}
		for _, e := range s.GetEnrollments() {
			f := m.fact(torture.Enrollment)
			f.ID, f.Ref, f.Type = e.GetId(), e.GetProgram(), e.GetStep()
			f.Status, f.Reason = name(e.GetStatus(), "ENROLLMENT_STATUS_"), e.GetEndedWhy()
			facts = append(facts, f)
		}
		d := m.fact(torture.Digest)
		d.Hash = DigestEnrollments(s.GetEnrollments())
		return append(facts, d)
	})
}

// DigestEnrollments sums up a lead's ways through programs.
func DigestEnrollments(all []*campaignv1.Enrollment) string {
	var b strings.Builder
	for _, e := range all {
		fmt.Fprintf(&b, "%s %s %s %s %s;", e.GetId(), e.GetProgram(), name(e.GetStatus(), "ENROLLMENT_STATUS_"), e.GetStep(), e.GetEndedWhy())
	}
	return b.String()
}

type handoff struct{ finals[*handoffv1.State] }

func newHandoff() *handoff { return &handoff{newFinals[*handoffv1.State]()} }

func (h *handoff) tell(m message) ([]torture.Fact, error) {
	if m.kind != bus.KindState {
		return nil, nil
	}
	state := &handoffv1.State{}
	rec, _, err := record(m.data, state, func() *handoffv1.Event { return &handoffv1.Event{} })
	if err != nil {
		return nil, err
	}
	h.set(m, state)
	var facts []torture.Fact
	for _, c := range rec.GetCauses() {
		kind, id, named := strings.Cut(c.GetId(), ":")
		if c.GetStream() != "" || !named || kind != c.GetKind() {
			continue
		}
		f := m.fact(torture.Command)
		f.ID, f.Type = id, kind
		facts = append(facts, f)
	}
	return facts, nil
}

func (h *handoff) last() []torture.Fact {
	return h.each(func(m message, s *handoffv1.State) []torture.Fact {
		facts := awaits(m, s.GetTies())
		for _, stay := range append(append([]*handoffv1.Handoff{}, s.GetHistory()...), s.GetHandoff()) {
			if stay == nil {
				continue
			}
			f := m.fact(torture.Handoff)
			f.Status, f.Reason = name(stay.GetStatus(), "HANDOFF_STATUS_"), stay.GetReason()
			facts = append(facts, f)
			for _, d := range stay.GetDeliveries() {
				f := m.fact(torture.Delivery)
				f.ID, f.Type = d.GetId(), d.GetType()
				f.Status, f.Reason = name(d.GetStatus(), "DELIVERY_STATUS_"), d.GetReason()
				facts = append(facts, f)
			}
		}
		if s.GetHandoff() == nil { // it only follows who is who
			return facts
		}
		d := m.fact(torture.Digest)
		d.Hash = DigestHandoff(s.GetHandoff())
		return append(facts, d)
	})
}

// DigestHandoff sums up a lead's stay with sales.
func DigestHandoff(h *handoffv1.Handoff) string {
	var b strings.Builder
	fmt.Fprintf(&b, "round=%d status=%s rep=%s", h.GetRound(), name(h.GetStatus(), "HANDOFF_STATUS_"), h.GetRep())
	for _, d := range h.GetDeliveries() {
		fmt.Fprintf(&b, " %s=%s", d.GetId(), name(d.GetStatus(), "DELIVERY_STATUS_"))
	}
	return b.String()
}
