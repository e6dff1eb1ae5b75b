package desk

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ties"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Leads that turn out to be one person: the merged lead's stay closes, whatever
// is being delivered of it, and the survivor goes on with it if it means more than
// its own. Nothing is handed over a second time: a survivor that is found ready
// is held until it has seen the stays of all who are this person.

// maxReturned bounds the stays that were given back and are remembered.
const maxReturned = 8

// Told is one record of ingest, with its place in LEADS.
type Told struct {
	State  *ingestv1.State
	Events []*ingestv1.Event
	Seq    uint64
}

// Follow takes what ingest says of who is who.
func (d Desk) Follow(s *handoffv1.State, lead string, told Told, now time.Time) Decision {
	t := d.sit(s, now)
	t.lead = lead
	news := ties.Follow(&s.Ties, told.State, told.Events, told.Seq)
	why := TiesTold
	switch {
	case !news.Any():
		return same(NotHeld)
	case news.Closed:
		why = Merged
		t.close()
	case news.Opened:
		why = Unmerged
		t.reopen()
		t.catchUp()
	}
	for _, lead := range news.Left {
		t.giveBack(lead)
	}
	return t.decide(why)
}

// close ends the stay of a lead that turned out to be another one.
func (t *sitting) close() {
	h := t.stay()
	if h == nil {
		return
	}
	t.state.Before = snapshot(h)
	into := t.state.GetTies().GetIntoLeadId()
	t.settle(merged, Merged)
	h.IntoLeadId = into
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_Merged{Merged: &handoffv1.Merged{IntoLeadId: into}}
	})
	if told(t.state) {
		t.deliver(TypeMerged)
	}
}

// reopen goes on with the stay of a lead that is one of its own again. One that
// was held is judged anew.
func (t *sitting) reopen() {
	h, before := t.stay(), t.state.GetBefore()
	if h == nil || before == nil {
		return
	}
	t.state.Before = nil
	t.like(before)
	if h.GetStatus() == held {
		t.settle(withdrawn, Unmerged)
		h.ClosedAt = t.stamp()
	}
	h.IntoLeadId = ""
	t.tellStage("")
	if told(t.state) {
		t.deliver(TypeUnmerged)
	}
}

// like makes the stay what another one is, but for its own deliveries.
func (t *sitting) like(other *handoffv1.Handoff) {
	own := t.stay()
	next := snapshot(other)
	next.LeadId, next.Round, next.Deliveries = own.GetLeadId(), own.GetRound(), own.GetDeliveries()
	proto.Reset(own)
	proto.Merge(own, next)
}

// tellStage tells scoring where the stay is, that it did not see getting there.
func (t *sitting) tellStage(from string) {
	h := t.stay()
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_TakenOver{TakenOver: &handoffv1.TakenOver{FromLeadId: from, Status: h.GetStatus(), Rep: h.GetRep()}}
	})
}

// giveBack ends a stay that was taken over from a lead that is one of its own
// again; that lead goes on with it as it is now.
func (t *sitting) giveBack(lead string) {
	h := t.stay()
	if h == nil || h.GetFromLeadId() != lead {
		return
	}
	t.state.Returned = append(t.state.GetReturned(), snapshot(h))
	t.state.Returned = t.state.Returned[max(0, len(t.state.Returned)-maxReturned):]
	t.settle(withdrawn, Unmerged)
	h.ClosedAt = t.stamp()
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_GivenBack{GivenBack: &handoffv1.GivenBack{LeadId: lead}}
	})
}

// Hand is what a lead hands over to one it was merged into or, with back, to one
// that it had for a while.
func Hand(s *handoffv1.State, tie *leadv1.Tie, to string) *handoffv1.Handover {
	h := &handoffv1.Handover{Tie: tie, Stay: s.GetBefore()}
	if tie.GetBack() {
		h.Stay = nil
		for _, r := range s.GetReturned() {
			if r.GetFromLeadId() == to {
				h.Stay = r
			}
		}
	}
	return h
}

// take takes over what awaited leads hand over; false when nothing is awaited.
func (t *sitting) take(all []*handoffv1.Handover) bool {
	if len(t.state.GetTies().GetAwaited()) == 0 {
		return false
	}
	for _, h := range all {
		if !ties.Awaits(t.state.Ties, h.GetTie()) {
			continue // separated again meanwhile
		}
		ties.Took(t.state.Ties, h.GetTie())
		switch {
		case h.GetStay() == nil || t.stay().GetStatus() == merged:
		case h.GetTie().GetBack():
			t.getBack(h.GetStay())
		case weight(h.GetStay()) > weight(t.stay()):
			t.takeOver(h)
		}
	}
	t.state.Ties.Looks++
	return true
}

// getBack goes on with the own stay as the lead that had it left it.
func (t *sitting) getBack(as *handoffv1.Handoff) {
	if t.stay() == nil || t.stay().GetStatus() == as.GetStatus() {
		return
	}
	t.like(as)
	t.stay().FromLeadId = ""
	t.tellStage("")
}

// takeOver goes on with the stay of a merged lead in the place of the own one.
func (t *sitting) takeOver(h *handoffv1.Handover) {
	round := t.stay().GetRound() + 1
	if own := t.stay(); own != nil {
		if own.GetStatus() == held {
			t.settle(withdrawn, Merged)
			own.ClosedAt = t.stamp()
		}
		t.state.History = append(t.state.History, own)
		t.forget()
	}
	t.state.Handoff = snapshot(h.GetStay())
	stay := t.stay()
	stay.LeadId, stay.Round, stay.FromLeadId, stay.RoutedBy = t.lead, round, h.GetTie().GetLeadId(), string(Merged)
	t.tellStage(h.GetTie().GetLeadId())
}

// weight orders stays by how much sales has to do with the lead; 0 for those that
// another lead has no use for.
func weight(h *handoffv1.Handoff) int {
	return 1 + slices.Index([]handoffv1.HandoffStatus{disqualified, assigned, accepted, confirmed, won}, h.GetStatus())
}

// snapshot is a stay without its deliveries: those are never anybody else's.
func snapshot(h *handoffv1.Handoff) *handoffv1.Handoff {
	c := proto.CloneOf(h)
	c.Deliveries = nil
	return c
}

// patience bounds the looks at other leads during which sales' answers wait: about
// a minute. Nobody waits for ever for a lead that does not hand over.
const patience = 8

// Merging reports whether others have this person's stay, or may have it or give
// it back in a moment: what sales says now would be about another one.
func Merging(s *handoffv1.State) bool {
	return s.GetTies().GetIntoLeadId() != "" || len(s.GetTies().GetAwaited()) > 0 && s.GetTies().GetLooks() < patience
}

// isMerging reports whether stays of leads that are this person are still to be
// seen.
func (t *sitting) isMerging() bool {
	return slices.ContainsFunc(t.state.GetTies().GetAwaited(), func(a *leadv1.Tie) bool { return !a.GetBack() })
}
