package scoring

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/stage"
	"github.com/nurturehq/nurture/services/scoring/internal/score"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// step is one thing that may happen to a lead.
type step struct {
	name string
	do   func(*life, *rapid.T)
}

func anySteps() []step {
	sales := func(name string, events ...*handoffv1.Event) step {
		return step{name, func(l *life, _ *rapid.T) { l.sales(name, events...) }}
	}
	return []step{
		{"acts", func(l *life, t *rapid.T) {
			kind := rapid.SampledFrom([]string{"page_viewed", "email_clicked", "email_opened", "form_submitted"}).Draw(t, "kind")
			ago := time.Duration(rapid.Int64Range(0, int64(3*day)).Draw(t, "ago"))
			l.ingest(kind, did(kind, l.now.Add(-ago), "path", "/pricing"))
		}},
		{"asks for a demo", func(l *life, _ *rapid.T) { l.does("demo_requested") }},
		{"changes its profile", func(l *life, t *rapid.T) {
			l.person.Profile.Employees = rapid.Int64Range(0, 400).Draw(t, "employees")
			l.ingest("identified", identified())
		}},
		{"changes its mind about mail", func(l *life, t *rapid.T) {
			l.person.Suppression = leadv1.Suppression(rapid.Int32Range(0, 1).Draw(t, "suppression"))
			l.ingest("consent", &ingestv1.Event{Fact: &ingestv1.Event_Consent{Consent: &leadv1.Consent{}}})
		}},
		{"waits", func(l *life, t *rapid.T) {
			l.waits(time.Duration(rapid.Int64Range(0, int64(10*day)).Draw(t, "wait")))
		}},
		sales("assigned", assigned()), sales("accepted", accepted()), sales("rejected", rejected()...),
		sales("rejected, not recycled yet", rejected()[:1]...),
		sales("confirmed", outcome(handoffv1.Outcome_OUTCOME_SALES_QUALIFIED)),
		sales("won", outcome(handoffv1.Outcome_OUTCOME_WON)), sales("lost", outcome(handoffv1.Outcome_OUTCOME_LOST)),
		sales("disqualified", &handoffv1.Event{Fact: &handoffv1.Event_Disqualified{Disqualified: &handoffv1.Disqualified{}}}),
	}
}

func TestWhateverHappensToALeadItsScoreKeepsTheLaws(t *testing.T) {
	steps := anySteps()
	rapid.Check(t, func(rt *rapid.T) {
		l := newLife(t)
		l.ingest("captured", captured())
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			before := l.state.GetScore().GetStage()
			s := rapid.SampledFrom(steps).Draw(rt, "step")
			s.do(l, rt)
			if broken := laws(l, before); broken != "" {
				rt.Fatalf("%s: %s\n%s", s.name, broken, l.script.String())
			}
		}
	})
}

// laws names the one that the latest input broke.
func laws(l *life, before leadv1.Stage) string {
	sc := l.state.GetScore()
	fit, behaviour := 0.0, 0.0
	for _, r := range score.Reasons(l.folder.model, l.state, sc.GetAt().AsTime()) {
		if r.GetAxis() == scoringv1.Reason_AXIS_FIT {
			fit += r.GetPoints()
		} else {
			behaviour += r.GetPoints()
		}
	}
	inSales := stage.IsWithSales(sc.GetStage())
	switch {
	case fit != sc.GetFit() || behaviour != sc.GetBehaviour():
		return "the reasons do not add up"
	case math.IsNaN(behaviour) || math.IsInf(behaviour, 0):
		return "behaviour is not a number"
	case sc.GetGrade() != l.folder.model.Grade(fit, behaviour):
		return "the grade is of other points"
	case sc.GetQualified() != (inSales || sc.GetStage() == leadv1.Stage_STAGE_QUALIFIED):
		return "ready, and yet the stage says otherwise"
	case l.state.GetSuppressed() && (stage.IsNurturable(sc.GetStage()) || sc.GetStage() == leadv1.Stage_STAGE_QUALIFIED):
		return "suppressed, and yet marketing owns it"
	case !l.wake.IsZero() && !l.wake.After(sc.GetAt().AsTime()):
		return "the wake-up is in the past"
	default:
		return brokenStory(l.told, before)
	}
}

// brokenStory checks that the changes told follow from each other and that sales
// is told exactly when a lead becomes ready.
func brokenStory(told []*scoringv1.Event, at leadv1.Stage) string {
	became, offered := false, 0
	for i, e := range told {
		if c := e.GetStageChanged(); c != nil {
			if d := stage.Next(c.GetFrom(), stage.Trigger(c.GetReason())); d.To != c.GetTo() {
				return "a change that the guard does not allow"
			}
			became = c.GetTo() == leadv1.Stage_STAGE_QUALIFIED
		}
		if q := e.GetQualified(); q != nil {
			offered++
			if q.GetWhy() == "" || i != len(told)-1 {
				return "offered to sales without a reason, or before the end of the story"
			}
		}
	}
	if (offered == 1) != became || offered > 1 {
		return "sales is not told exactly when the lead becomes ready, coming from " + stage.Name(at)
	}
	return ""
}

func TestAnActivityNeedsNoProfile(t *testing.T) {
	l := newLife(t)
	l.ingest("import", captured())
	click := did("email_clicked", l.now)
	rec := &ledgerv1.Record{State: []byte{0xff, 0xff}, Events: [][]byte{mustMarshal(t, click)}}
	ch, err := l.folder.fold(l.state, ledger.Input{
		Lead: "lead-1", Stream: bus.Leads, Kind: bus.KindState, Data: mustMarshal(t, rec),
	}, l.now)
	if err != nil || ch.Same {
		t.Fatalf("the profile was decoded for an activity: %v", err)
	}
}

func TestPointsDoNotDependOnTheOrderInWhichActivitiesArrive(t *testing.T) {
	m := testModel(t)
	rapid.Check(t, func(rt *rapid.T) {
		now := birth.Add(60 * day)
		acts := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) *ingestv1.Event {
			// Clicks have no daily cap: with one, the first to arrive count.
			at := birth.Add(time.Duration(rapid.Int64Range(0, int64(59*day)).Draw(rt, "at")))
			return did("email_clicked", at)
		}), 1, 20).Draw(rt, "activities")
		fold := func(events []*ingestv1.Event) float64 {
			s := &scoringv1.State{}
			for _, e := range append([]*ingestv1.Event{captured()}, events...) {
				in := ledger.Input{Lead: "lead-1", Stream: bus.Leads, Kind: bus.KindState, Data: recordOf(t, &ingestv1.State{Lead: &leadv1.Lead{}}, e)}
				ch, err := folder{m}.fold(s, in, now)
				if err != nil {
					rt.Fatal(err)
				}
				if !ch.Same {
					s = ch.State
				}
			}
			score.ReadAt(m, s, timestamppb.New(now))
			return s.GetScore().GetBehaviour()
		}
		inOrder, shuffled := fold(acts), fold(rapid.Permutation(acts).Draw(rt, "shuffled"))
		if math.Abs(inOrder-shuffled) > 2*score.Grain {
			rt.Fatalf("in order %v, shuffled %v", inOrder, shuffled)
		}
	})
}
