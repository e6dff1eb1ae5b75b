package scoring

import (
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/stage"
	"github.com/nurturehq/nurture/services/scoring/internal/ready"
	"github.com/nurturehq/nurture/services/scoring/internal/score"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// conclude judges the lead as of now and makes the record.
func (t *turn) conclude() ledger.Change[*scoringv1.State] {
	if t.reason == "" {
		return ledger.Unchanged[*scoringv1.State](string(ReasonNothing))
	}
	if t.isMerged() {
		return t.closed()
	}
	score.Sum(t.model, t.state, t.group())
	score.Prune(t.model, t.state, t.now)
	t.read()
	t.settleStage()
	verdict := ready.Decide(t.model, t.state, t.now)
	qualified := t.apply(verdict)
	t.trigger(stage.Scored)
	t.state.Score.FastTrack = t.state.GetFastTrackRule() != ""
	t.tell(qualified)
	return ledger.Change[*scoringv1.State]{
		State: t.state, Events: messages(t.events), WakeAt: t.orTies(t.wakeAt(verdict)), Reason: string(t.reason),
	}
}

// read brings the points to this moment.
func (t *turn) read() { score.ReadAt(t.model, t.state, t.stamp) }

// settleStage makes the changes that need no points: a lead that came back and
// must not be contacted is suppressed, one that rested is nurtured again.
func (t *turn) settleStage() {
	if t.state.GetSuppressed() {
		t.trigger(stage.Suppressed)
		return
	}
	if t.state.GetScore().GetStage() == leadv1.Stage_STAGE_RECYCLED && t.rested() {
		t.trigger(stage.Resumed)
	}
}

// rested reports whether the cool-down after a recycle is over, or the lead has
// shown enough new interest before that.
func (t *turn) rested() bool {
	return t.state.GetOwedPoints() == 0 || !t.now.Before(t.restedAt())
}

func (t *turn) restedAt() time.Time {
	return t.state.GetFlippedAt().AsTime().Add(t.model.CoolDown)
}

// apply makes the verdict part of the state; true means that the lead has just
// become ready and sales has to be told.
func (t *turn) apply(v ready.Verdict) bool {
	sc := t.state.Score
	if v.Ready == sc.GetQualified() {
		return false
	}
	on, why := cause(v, t.state.GetFastTrackRule())
	tells := on == stage.FastTrack || on == stage.CrossedThreshold
	if tells && !stage.Next(sc.GetStage(), on).Changed {
		return false // the guard says that it is not marketing's to hand over
	}
	sc.Qualified, t.state.FlippedAt = v.Ready, t.stamp
	t.trigger(on)
	if tells {
		t.state.QualifiedAt, t.state.QualifiedWhy, t.state.OwedPoints = t.stamp, why, 0
	}
	return tells
}

// cause gives the trigger of a verdict that differs from the last one, and what
// sales is told. A lead that sales took before it was found ready is not handed
// over again: its trigger is the assignment it already had.
func cause(v ready.Verdict, rule string) (on stage.Trigger, why string) {
	switch v.Reason {
	case ready.FastTrack:
		return stage.FastTrack, string(ready.FastTrack) + ":" + rule
	case ready.Threshold:
		return stage.CrossedThreshold, string(ready.Threshold)
	case ready.WithSales:
		return stage.Assigned, ""
	default:
		return stage.Cooled, ""
	}
}

// tell emits what others want to know of the new score.
func (t *turn) tell(qualified bool) {
	sc := t.state.GetScore()
	if t.told || shownOf(sc) != t.before {
		t.emit(&scoringv1.Event{Fact: &scoringv1.Event_Scored{Scored: &scoringv1.Scored{Score: score.Copy(sc)}}})
	}
	if qualified {
		t.emit(&scoringv1.Event{Fact: &scoringv1.Event_Qualified{Qualified: &scoringv1.Qualified{
			Score: score.Copy(sc), Reasons: score.Reasons(t.model, t.state, t.now), Why: t.state.GetQualifiedWhy(),
			MergedFrom: t.state.GetTies().GetFromLeadIds(),
		}}})
	}
}

// wakeAt is the earliest moment at which time alone changes something: a
// cool-down ends, a recycled lead has rested, or fading crosses a line.
func (t *turn) wakeAt(v ready.Verdict) time.Time {
	wake := v.Until
	at := t.state.GetScore().GetStage()
	if at == leadv1.Stage_STAGE_RECYCLED {
		wake = earlier(wake, t.restedAt())
	}
	if !stage.IsNurturable(at) && at != leadv1.Stage_STAGE_QUALIFIED {
		return wake
	}
	below, above := t.bounds()
	if crossing, ok := score.Leaves(t.model, t.state.GetCounters(), t.now, below, above); ok {
		wake = earlier(wake, crossing)
	}
	return wake
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// bounds are the nearest lines below and above the behaviour of now: the bands
// of the grade and, for the side the lead is on, the line of qualification.
func (t *turn) bounds() (below, above float64) {
	sc := t.state.GetScore()
	below, above = math.Inf(-1), math.Inf(1)
	narrow := func(line float64) {
		switch {
		case line <= sc.GetBehaviour():
			below = max(below, line)
		default:
			above = min(above, line)
		}
	}
	for _, least := range t.model.Bands {
		narrow(least)
	}
	line := t.model.Line(sc.GetFit())
	switch {
	case t.state.GetFastTrackRule() != "":
	case sc.GetQualified():
		narrow(line.Lo)
	default:
		narrow(line.Hi)
	}
	return below, above
}

func messages(events []*scoringv1.Event) []proto.Message {
	out := make([]proto.Message, len(events))
	for i, e := range events {
		out[i] = e
	}
	return out
}
