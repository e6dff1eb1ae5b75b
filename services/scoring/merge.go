package scoring

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/stage"
	"github.com/nurturehq/nurture/pkg/ties"
	"github.com/nurturehq/nurture/services/scoring/internal/score"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// tied reports whether any event is about which leads are one person.
func tied(events []*ingestv1.Event) bool {
	return slices.ContainsFunc(events, func(e *ingestv1.Event) bool {
		return e.GetMerged() != nil || e.GetMergedInto() != nil || e.GetRestored() != nil || e.GetUnmerged() != nil
	})
}

// closes reports whether a record says that its lead turned out to be another one.
func closes(events []*ingestv1.Event) bool {
	return slices.ContainsFunc(events, func(e *ingestv1.Event) bool { return e.GetMergedInto() != nil })
}

// follow takes in that leads are one person, or are not any more. What others
// earned is taken over when they have closed: see take.
func (t *turn) follow(p *profile, events []*ingestv1.Event) error {
	if err := p.load(); err != nil {
		return err
	}
	news := ties.Follow(&t.state.Ties, p.state, events, t.seq)
	if !news.Any() {
		return nil
	}
	score.Own(t.state, t.lead, t.seq)
	t.told = true
	for _, lead := range news.Left {
		t.part(lead)
	}
	switch {
	case news.Closed:
		t.note(ReasonMerged)
		t.state.StageBefore = t.state.GetScore().GetStage()
		t.state.Score.Qualified, t.state.Score.FastTrack = false, false
		t.trigger(stage.Merged)
	case news.Opened:
		t.reopen()
	case len(news.Joined) > 0:
		t.note(ReasonMerged)
	default:
		t.note(ReasonRestored)
	}
	return nil
}

// maxAsked bounds what is remembered for leads that left.
const maxAsked = 100

// part leaves to a lead that is one of its own again what it asked for: it is not
// this one's to be answered.
func (t *turn) part(lead string) {
	t.state.StaysOf = slices.DeleteFunc(t.state.GetStaysOf(), func(l string) bool { return l == lead })
	rule := t.state.GetFastTrackRule()
	if rule == "" || t.state.GetFastTrackLeadId() != lead {
		return
	}
	t.settle()
	t.state.Asked = append(t.state.GetAsked(), &scoringv1.Asked{LeadId: lead, Rule: rule, At: t.stamp})
	t.state.Asked = t.state.Asked[max(0, len(t.state.GetAsked())-maxAsked):]
}

// reopen lets a lead that was merged go on where it was.
func (t *turn) reopen() {
	t.note(ReasonRestored)
	sc, back := t.state.Score, stage.Resumes(t.state.GetStageBefore())
	t.emit(&scoringv1.Event{Fact: &scoringv1.Event_StageChanged{StageChanged: &scoringv1.StageChanged{
		From: sc.GetStage(), To: back, Reason: string(stage.Restored),
	}}})
	sc.Stage, sc.StageSince, sc.StageReason = back, t.stamp, string(stage.Restored)
	t.state.StageBefore = leadv1.Stage_STAGE_UNSPECIFIED
}

func (t *turn) isMerged() bool { return t.state.GetTies().GetIntoLeadId() != "" }

// group are the leads that are this person.
func (t *turn) group() []string {
	return append([]string{t.lead}, t.state.GetTies().GetFromLeadIds()...)
}

// counters are where an activity is counted.
func (t *turn) counters() *[]*scoringv1.Counter {
	if len(t.state.GetShares()) == 0 && (t.origin == "" || t.origin == t.lead) {
		return &t.state.Counters
	}
	return &score.Of(t.state, t.lead, t.origin, t.seq).Counters
}

// take takes over what awaited leads hand over, and counts the look.
func (t *turn) take(view []byte) error {
	if len(t.state.GetTies().GetAwaited()) == 0 {
		return nil
	}
	all := &scoringv1.Handovers{}
	if err := proto.Unmarshal(view, all); err != nil {
		return fmt.Errorf("decode what leads hand over: %w", err)
	}
	for _, h := range all.GetOf() {
		if !ties.Awaits(t.state.GetTies(), h.GetTie()) {
			continue // separated again meanwhile
		}
		t.told = true
		score.Take(t.state, t.lead, append(t.group(), t.state.GetTies().GetLeftLeadIds()...), h.GetShares())
		ties.Took(t.state.GetTies(), h.GetTie())
		t.takeHits(h.GetHits())
		t.inherit(h)
	}
	t.state.Ties.Looks++
	return nil
}

// inherit takes over what a merged lead asked for and sales has not answered, and
// what sales, who gave it back, still wants to see of it. What it asked for is not
// taken over when its stay with sales is: there it is answered, or was already.
func (t *turn) inherit(h *scoringv1.Handover) {
	if h.GetOwedPoints() > t.state.GetOwedPoints() {
		t.state.OwedPoints, t.state.FlippedAt = h.GetOwedPoints(), h.GetFlippedAt()
	}
	from := h.GetTie().GetLeadId()
	had := slices.Contains(t.state.GetStaysOf(), from)
	t.state.StaysOf = slices.DeleteFunc(t.state.GetStaysOf(), func(l string) bool { return l == from })
	if h.GetFastTrackRule() == "" || had || t.state.GetFastTrackRule() != "" || !t.mayHurry(t.now) {
		return
	}
	if h.GetTie().GetBack() {
		if t.state.GetFlippedAt().AsTime().After(h.GetFlippedAt().AsTime()) {
			return // it asked before, too, and had its answer
		}
		from = t.lead
	}
	t.asks(h.GetFastTrackRule(), from)
}

// closed is the record of a lead that turned out to be another one: it waits for
// nothing but what it hands over with its own.
func (t *turn) closed() ledger.Change[*scoringv1.State] {
	t.state.Score.At = t.stamp
	return ledger.Change[*scoringv1.State]{State: t.state, Events: messages(t.events), WakeAt: t.orTies(time.Time{}), Reason: string(t.reason)}
}

// orTies is the earlier one of a moment and the next look at awaited leads.
func (t *turn) orTies(wake time.Time) time.Time {
	next := ties.Next(t.state.GetTies(), t.now)
	switch {
	case next.IsZero():
		return wake
	case wake.IsZero():
		return next
	}
	return earlier(wake, next)
}

// handover is what a lead hands over to one it was merged into, or gives back to
// one that was merged into it, and to those that this one is.
func handover(s *scoringv1.State, tie *leadv1.Tie, to []string) *scoringv1.Handover {
	h := &scoringv1.Handover{Tie: tie, Shares: s.GetShares(), Hits: s.GetHits()}
	if !tie.GetBack() {
		h.OwedPoints, h.FlippedAt = s.GetOwedPoints(), s.GetFlippedAt()
		if !stage.IsWithSales(s.GetStageBefore()) { // there it is answered
			h.FastTrackRule = s.GetFastTrackRule()
		}
		return h
	}
	for _, a := range s.GetAsked() {
		if slices.Contains(to, a.GetLeadId()) {
			h.FastTrackRule, h.FlippedAt = a.GetRule(), a.GetAt()
		}
	}
	return h
}

// takeHits takes over what may turn out to be a machine's: the verdict comes to
// this lead.
func (t *turn) takeHits(hits []*scoringv1.CountedHit) {
	for _, h := range hits {
		if !slices.ContainsFunc(t.state.GetHits(), func(own *scoringv1.CountedHit) bool { return own.GetId() == h.GetId() && own.GetRule() == h.GetRule() }) {
			t.state.Hits = append(t.state.Hits, h)
		}
	}
	slices.SortStableFunc(t.state.Hits, func(a, b *scoringv1.CountedHit) int { return a.GetAt().AsTime().Compare(b.GetAt().AsTime()) })
	t.state.Hits = t.state.Hits[max(0, len(t.state.GetHits())-maxHits):]
}
