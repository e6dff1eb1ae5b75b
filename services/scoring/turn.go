package scoring

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/stage"
	"github.com/nurturehq/nurture/services/scoring/internal/model"
	"github.com/nurturehq/nurture/services/scoring/internal/score"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// Reason names what made scoring look at a lead; the reason of its records.
type Reason string

// Reasons of records.
const (
	ReasonCaptured  Reason = "captured"
	ReasonProfile   Reason = "profile"
	ReasonModel     Reason = "model_changed"
	ReasonActivity  Reason = "activity"
	ReasonFastTrack Reason = "fast_track"
	ReasonSales     Reason = "sales"
	ReasonDue       Reason = "due"
	// ReasonVerdict: an open or a click turned out to be a machine's.
	ReasonVerdict Reason = "judged_again"
	ReasonErased  Reason = "erased"
	// ReasonMerged: the lead turned out to be another one, or another one turned
	// out to be it. ReasonRestored: leads that were one are separated.
	ReasonMerged   Reason = "merged"
	ReasonRestored Reason = "restored"
	// ReasonNothing: no rule is about what happened; nothing is recorded.
	ReasonNothing Reason = "nothing_scored"
)

// turn is one input being folded into one lead. Nothing is changed in the state
// before there is a reason to: an input without one leaves it as it was.
type turn struct {
	model  *model.Model
	state  *scoringv1.State
	lead   string
	now    time.Time
	stamp  *timestamppb.Timestamp
	before shown
	events []*scoringv1.Event
	// reason is why there will be a record; empty while nothing is worth one.
	reason Reason
	// told: the evidence changed, so that Scored is due even if the sum is the same.
	told bool
	// seq is the place of the input in LEADS, 0 for others; origin is the lead that
	// the event at hand is about, when that one is merged into this one.
	seq    uint64
	origin string
}

// shown is what others see of a score beside its points.
type shown struct {
	grade                string
	qualified, fastTrack bool
}

func shownOf(s *scoringv1.Score) shown {
	return shown{grade: s.GetGrade(), qualified: s.GetQualified(), fastTrack: s.GetFastTrack()}
}

func newTurn(m *model.Model, s *scoringv1.State, lead string, now time.Time) *turn {
	return &turn{model: m, state: s, lead: lead, now: now, stamp: timestamppb.New(now), before: shownOf(s.GetScore())}
}

// isFirst reports whether scoring has never seen the lead.
func (t *turn) isFirst() bool { return t.state.GetScore() == nil }

// isStale reports whether another model judged the profile.
func (t *turn) isStale() bool { return t.state.GetScore().GetModel() != t.model.Version }

// note gives the record its reason; the first one counts.
func (t *turn) note(r Reason) {
	if t.reason == "" {
		t.reason = r
	}
	if t.state.Score == nil {
		t.state.Score = &scoringv1.Score{LeadId: t.lead}
	}
}

func (t *turn) emit(e *scoringv1.Event) {
	e.OccurredAt = t.stamp
	t.events = append(t.events, e)
}

// trigger asks the guard for a change of stage and tells it when it happens.
func (t *turn) trigger(on stage.Trigger) {
	sc := t.state.Score
	d := stage.Next(sc.GetStage(), on)
	if !d.Changed {
		return
	}
	sc.Stage, sc.StageSince, sc.StageReason = d.To, t.stamp, string(d.Reason)
	t.emit(&scoringv1.Event{Fact: &scoringv1.Event_StageChanged{StageChanged: &scoringv1.StageChanged{
		From: d.From, To: d.To, Reason: string(d.Reason),
	}}})
}

// person judges who the lead is: fit and suppression.
func (t *turn) person(p *profile) error {
	if err := p.load(); err != nil {
		return err
	}
	first, stale := t.isFirst(), t.isStale()
	matched := score.Matched(t.model, map[string]any{"lead": p.facts})
	suppressed := p.lead.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED
	switch {
	case first:
		t.note(ReasonCaptured)
	case stale:
		t.note(ReasonModel)
	case suppressed != t.state.GetSuppressed() || !sameRules(matched, t.state.GetFitRules()):
		t.note(ReasonProfile)
	default:
		return nil
	}
	t.told = true
	t.trigger(stage.Captured)
	t.state.FitRules, t.state.Score.Model = matched, t.model.Version
	t.suppress(suppressed)
	return nil
}

func sameRules(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// suppress follows what ingest says. What the person asked for before it said
// "do not contact me" is no longer wanted.
func (t *turn) suppress(suppressed bool) {
	lifted := t.state.GetSuppressed() && !suppressed
	t.state.Suppressed = suppressed
	if suppressed {
		t.settle()
	}
	if lifted && t.state.GetScore().GetStage() == leadv1.Stage_STAGE_SUPPRESSED {
		t.trigger(stage.Resumed)
	}
}

// activity counts what the lead did. What a machine did is never counted.
func (t *turn) activity(a *leadv1.Activity, p *profile) error {
	if a.GetMachine() {
		return nil
	}
	at := t.now
	if when := a.GetOccurredAt(); when != nil && when.AsTime().Before(at) {
		at = when.AsTime()
	}
	t.count(a, at)
	return t.fastTrack(a, at, p)
}

func (t *turn) count(a *leadv1.Activity, at time.Time) {
	for _, rule := range t.model.On(a.GetType()) {
		if rule.When != nil {
			if ok, err := rule.When.Bool(map[string]any{"activity": a}); !ok || err != nil {
				continue
			}
		}
		points := score.Count(t.counters(), rule, at)
		if points == 0 {
			continue
		}
		t.note(ReasonActivity)
		t.told = true
		t.remember(a, rule.ID, points, at)
		if points > 0 && !t.isOld(at) {
			t.state.OwedPoints = max(0, t.state.GetOwedPoints()-points)
		}
	}
}

// isOld reports whether sales had already given the lead back when something
// happened before that: it cannot make the lead ready again.
func (t *turn) isOld(at time.Time) bool {
	return t.state.GetOwedPoints() > 0 && !at.After(t.state.GetFlippedAt().AsTime())
}

func (t *turn) fastTrack(a *leadv1.Activity, at time.Time, p *profile) error {
	for _, rule := range t.model.FastTrack {
		if rule.On != a.GetType() || !t.mayHurry(at) {
			continue
		}
		if rule.When != nil {
			if err := p.load(); err != nil {
				return err
			}
			if ok, err := rule.When.Bool(map[string]any{"activity": a, "lead": p.facts}); !ok || err != nil {
				continue
			}
		}
		t.note(ReasonFastTrack)
		t.told = true
		t.remember(a, fast+rule.ID, 0, at)
		t.asks(rule.ID, t.origin)
		return nil
	}
	return nil
}

// asks keeps that a fast track rule fired for a lead, which may be one that was
// merged into this one; settle that there is nothing to answer any more.
func (t *turn) asks(rule, lead string) {
	if lead == t.lead {
		lead = ""
	}
	t.state.FastTrackRule, t.state.FastTrackLeadId = rule, lead
}

func (t *turn) settle() { t.asks("", "") }

// mayHurry reports whether a fast track means something now: not for a lead that
// sales has, that is closed for good or suppressed, and not for old evidence.
func (t *turn) mayHurry(at time.Time) bool {
	now := t.state.GetScore().GetStage()
	d := stage.Next(now, stage.FastTrack)
	return (d.Changed || d.Reason == stage.Already) && !t.state.GetSuppressed() && !t.isOld(at)
}
