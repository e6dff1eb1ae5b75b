// Package route chooses the rep: a weighted round robin over those whose
// condition fits the lead and who have capacity left. It is pure: the book is
// told every handoff record and is asked for proposals, at moments it is given.
//
// A proposal is reserved until the record that uses it is seen, so one process
// never exceeds a capacity. Several processes route at once only for different
// leads; between them a capacity may be exceeded by as many leads as are
// proposed within the time a record needs to travel (milliseconds).
package route

import (
	"cmp"
	"slices"
	"time"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
)

// Unlimited is the capacity of a rep who takes any number of leads.
const Unlimited = -1

// reserveFor bounds how long a proposal that nobody used takes up capacity.
const reserveFor = 30 * time.Second

// Condition says whether a rep takes a lead. An error counts as no.
type Condition interface {
	Bool(vars map[string]any) (bool, error)
}

// Rep is one person in sales.
type Rep struct {
	ID   string
	Name string
	// Weight is the share of leads, relative to the other reps'.
	Weight int
	// Capacity bounds the leads a rep has at once, assigned or accepted; or Unlimited.
	Capacity int
	// When must be true for the leads this rep takes; nil for all.
	When Condition
}

// Proposal is the router's answer. Without a rep, By says why there is none.
type Proposal struct {
	Rep string
	By  desk.Reason
}

type reservation struct {
	rep   string
	until time.Time
}

// Book knows who in sales has which lead. Not safe for concurrent use.
type Book struct {
	reps     []Rep
	wheel    *Wheel
	load     map[string]int
	open     map[string]*handoffv1.Handoff
	reserved map[string]reservation
	purgeAt  time.Time
}

// NewBook makes an empty book.
func NewBook(reps []Rep) *Book {
	weights := make([]int, len(reps))
	for i, r := range reps {
		weights[i] = r.Weight
	}
	return &Book{
		reps: reps, wheel: NewWheel(weights), load: map[string]int{},
		open: map[string]*handoffv1.Handoff{}, reserved: map[string]reservation{},
	}
}

// See takes in the latest handoff of a lead and reports whether a rep became
// free for another one.
func (b *Book) See(h *handoffv1.Handoff) (freed bool) {
	lead := h.GetLeadId()
	if before := b.open[lead]; desk.CountsAsLoad(before) {
		b.load[before.GetRep()]--
		freed = !desk.CountsAsLoad(h) || h.GetRep() != before.GetRep()
	}
	b.release(lead)
	delete(b.open, lead)
	if desk.CountsAsLoad(h) {
		b.load[h.GetRep()]++
	}
	if desk.CountsAsLoad(h) || h.GetStatus() == handoffv1.HandoffStatus_HANDOFF_STATUS_HELD {
		b.open[lead] = h
	}
	return freed
}

// Open gives the handoff of a lead that is held, assigned or accepted; nil for others.
func (b *Book) Open(lead string) *handoffv1.Handoff { return b.open[lead] }

// Propose chooses a rep for a lead, not the one named by not. Asking again
// before the record is seen gives the same answer.
func (b *Book) Propose(view *leadv1.View, not string, now time.Time) Proposal {
	b.purge(now)
	if r, ok := b.reserved[view.GetLeadId()]; ok && r.rep != not {
		return Proposal{Rep: r.rep, By: desk.RoundRobin}
	}
	b.release(view.GetLeadId())
	matching := b.matching(view, not)
	i := b.wheel.Turn(func(i int) bool { return matching[i] && b.hasRoom(b.reps[i]) })
	switch {
	case i >= 0:
		b.reserve(view.GetLeadId(), b.reps[i].ID, now)
		return Proposal{Rep: b.reps[i].ID, By: desk.RoundRobin}
	case slices.Contains(matching, true):
		return Proposal{By: desk.NoCapacity}
	default:
		return Proposal{By: desk.NoRepMatches}
	}
}

func (b *Book) matching(view *leadv1.View, not string) []bool {
	vars := Vars(view)
	fits := make([]bool, len(b.reps))
	for i, r := range b.reps {
		fits[i] = r.ID != not && r.Weight > 0 && takes(r, vars)
	}
	return fits
}

// Vars are what conditions of reps are written against: lead and score.
func Vars(view *leadv1.View) map[string]any {
	lead, score := view.GetLead(), view.GetScore()
	if lead == nil {
		lead = &leadv1.Facts{}
	}
	if score == nil {
		score = &leadv1.ScoreFacts{}
	}
	return map[string]any{"lead": lead, "score": score}
}

func takes(r Rep, vars map[string]any) bool {
	if r.When == nil {
		return true
	}
	ok, err := r.When.Bool(vars)
	return ok && err == nil
}

func (b *Book) hasRoom(r Rep) bool {
	return r.Capacity == Unlimited || b.load[r.ID] < r.Capacity
}

func (b *Book) reserve(lead, rep string, now time.Time) {
	b.reserved[lead] = reservation{rep: rep, until: now.Add(reserveFor)}
	b.load[rep]++
}

func (b *Book) release(lead string) {
	if r, ok := b.reserved[lead]; ok {
		delete(b.reserved, lead)
		b.load[r.rep]--
	}
}

// purge drops proposals that were never used, a few times per reserveFor.
func (b *Book) purge(now time.Time) {
	if now.Before(b.purgeAt) {
		return
	}
	b.purgeAt = now.Add(reserveFor / 4)
	for lead, r := range b.reserved {
		if !now.Before(r.until) {
			b.release(lead)
		}
	}
}

// Waiting lists the held leads that a free rep could take, longest held first.
func (b *Book) Waiting() []string {
	var waiting []*handoffv1.Handoff
	for _, h := range b.open {
		if desk.WaitsForRep(h) {
			waiting = append(waiting, h)
		}
	}
	slices.SortFunc(waiting, func(x, y *handoffv1.Handoff) int {
		return cmp.Or(x.GetQualifiedAt().AsTime().Compare(y.GetQualifiedAt().AsTime()), cmp.Compare(x.GetLeadId(), y.GetLeadId()))
	})
	leads := make([]string, len(waiting))
	for i, h := range waiting {
		leads[i] = h.GetLeadId()
	}
	return leads
}

// Room is how many more leads all reps together can take; Unlimited when one
// of them takes any number.
func (b *Book) Room() int {
	room := 0
	for _, r := range b.reps {
		if r.Weight <= 0 {
			continue
		}
		if r.Capacity == Unlimited {
			return Unlimited
		}
		room += max(0, r.Capacity-b.load[r.ID])
	}
	return room
}

// Loads gives the leads each rep has now, proposals included.
func (b *Book) Loads() map[string]int {
	loads := make(map[string]int, len(b.reps))
	for _, r := range b.reps {
		loads[r.ID] = b.load[r.ID]
	}
	return loads
}

// Holds counts the held leads by reason.
func (b *Book) Holds() map[string]int {
	holds := map[string]int{}
	for _, h := range b.open {
		if h.GetStatus() == handoffv1.HandoffStatus_HANDOFF_STATUS_HELD {
			holds[h.GetReason()]++
		}
	}
	return holds
}
