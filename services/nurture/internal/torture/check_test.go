package torture_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// scene is evidence in the making: a journal and facts of one lead.
type scene struct{ ev torture.Evidence }

func newScene() *scene { return &scene{torture.Evidence{Seed: 1, Quiet: true}} }

func at(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC) }

// write appends a line to the journal.
func (s *scene) write(l torture.Line) *scene {
	l.N = len(s.ev.Journal) + 1
	if l.At.IsZero() {
		l.At = at(l.N)
	}
	if l.Who == "" {
		l.Who = "p1"
	}
	s.ev.Journal = append(s.ev.Journal, l)
	return s
}

func (s *scene) sent(id string, kind torture.Kind) *scene {
	return s.write(torture.Line{Op: torture.OpSend, ID: id, Kind: kind, Type: torture.PageViewed, Hash: "h-" + id})
}

func (s *scene) answered(id string, status torture.Status) *scene {
	return s.write(torture.Line{Op: torture.OpAnswer, ID: id, Status: status, Reason: string(status)})
}

// tell appends a fact about the lead.
func (s *scene) tell(f torture.Fact) *scene {
	f.Lead = "lead1"
	s.ev.Facts = append(s.ev.Facts, f)
	return s
}

func (s *scene) did(ids ...string) *scene {
	for _, id := range ids {
		s.tell(torture.Fact{Kind: torture.Activity, ID: id, Type: torture.PageViewed, Hash: "h-" + id})
	}
	return s
}

func (s *scene) scored(points float64) *scene {
	return s.tell(torture.Fact{Kind: torture.Score, Points: points, Status: torture.StageNurturing})
}

// wrongs judges the scene and counts what is wrong.
func (s *scene) wrongs() map[torture.Wrong]int {
	found := map[torture.Wrong]int{}
	for _, v := range torture.Check(&s.ev).Violations {
		found[v.Wrong]++
	}
	return found
}

type wrongs = map[torture.Wrong]int

func TestEveryEventEndsSomewhere(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		scene *scene
		want  wrongs
	}{
		"acknowledged and stored":               {newScene().sent("a", torture.Track).answered("a", torture.Acked).did("a").scored(1), wrongs{}},
		"acknowledged and gone":                 {newScene().sent("a", torture.Track).answered("a", torture.Acked), wrongs{torture.Lost: 1}},
		"no answer and stored":                  {newScene().sent("a", torture.Track).answered("a", torture.Unknown).did("a").scored(1), wrongs{}},
		"no answer and gone":                    {newScene().sent("a", torture.Track).answered("a", torture.Unknown), wrongs{}},
		"stored twice":                          {newScene().sent("a", torture.Track).answered("a", torture.Acked).did("a", "a").scored(2), wrongs{torture.DupEffect: 1}},
		"stored once, counted twice":            {newScene().sent("a", torture.Track).answered("a", torture.Acked).did("a").scored(2), wrongs{torture.DupEffect: 1}},
		"stored once, never counted":            {newScene().sent("a", torture.Track).answered("a", torture.Acked).did("a"), wrongs{torture.Lost: 1}},
		"nobody sent it":                        {newScene().did("a").scored(1), wrongs{torture.DupEffect: 1}},
		"a good event refused":                  {newScene().sent("a", torture.Track).answered("a", torture.Refused), wrongs{torture.Turned: 1}},
		"a bad event refused":                   {newScene().sent("a", torture.Bad).answered("a", torture.Refused), wrongs{}},
		"a bad event taken":                     {newScene().sent("a", torture.Bad).answered("a", torture.Acked), wrongs{torture.Unaccounted: 1}},
		"a bad event stored":                    {newScene().sent("a", torture.Bad).answered("a", torture.Refused).did("a").scored(1), wrongs{torture.DupEffect: 1}},
		"poison parked":                         {newScene().sent("a", torture.Poison).answered("a", torture.Acked).tell(torture.Fact{Kind: torture.Parked, ID: "a"}), wrongs{}},
		"poison gone":                           {newScene().sent("a", torture.Poison).answered("a", torture.Acked), wrongs{torture.Unaccounted: 1}},
		"parked twice":                          {newScene().sent("a", torture.Poison).answered("a", torture.Acked).tell(torture.Fact{Kind: torture.Parked, ID: "a"}).tell(torture.Fact{Kind: torture.Parked, ID: "a"}), wrongs{torture.DupEffect: 1}},
		"parked without need":                   {newScene().tell(torture.Fact{Kind: torture.Parked, ID: "x"}), wrongs{torture.Unaccounted: 1}},
		"qualified for nothing":                 {newScene().tell(torture.Fact{Kind: torture.Qualified}).tell(torture.Fact{Kind: torture.Handoff, Status: "assigned"}).tell(torture.Fact{Kind: torture.Delivery, ID: "d", Status: torture.StatusPending}), wrongs{torture.DupEffect: 1, torture.Unaccounted: 1}},
		"an answer to what was never sent":      {newScene().answered("a", torture.Acked), wrongs{torture.Unaccounted: 1}},
		"the same words with another meaning":   {newScene().sent("a", torture.Track).answered("a", torture.Acked).tell(torture.Fact{Kind: torture.Activity, ID: "a", Type: torture.CaseRead, Hash: "h-a"}).scored(3), wrongs{torture.Lost: 1}},
		"acknowledged unsubscribe without mark": {newScene().sent("u", torture.Unsubscribe).answered("u", torture.Acked), wrongs{torture.Lost: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.scene.wrongs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyWhatWasAcknowledgedBeforeMustStandBefore(t *testing.T) {
	t.Parallel()
	inSequence := func() *scene {
		return newScene().sent("a", torture.Track).answered("a", torture.Acked).sent("b", torture.Track).answered("b", torture.Acked).scored(2)
	}
	atOnce := func() *scene {
		return newScene().sent("a", torture.Track).sent("b", torture.Track).answered("a", torture.Acked).answered("b", torture.Acked).scored(2)
	}
	unanswered := func() *scene {
		return newScene().sent("a", torture.Track).answered("a", torture.Unknown).sent("b", torture.Track).answered("b", torture.Acked).scored(2)
	}
	if got := inSequence().did("a", "b").wrongs(); len(got) > 0 {
		t.Errorf("in order: %v", got)
	}
	if got := inSequence().did("b", "a").wrongs(); got[torture.Inversion] != 1 {
		t.Errorf("swapped: %v", got)
	}
	if got := atOnce().did("b", "a").wrongs(); len(got) > 0 {
		t.Errorf("sent at once: %v", got)
	}
	if got := unanswered().did("b", "a").wrongs(); len(got) > 0 {
		t.Errorf("sent after one without an answer: %v", got)
	}
}

// touched is a lead with one touch that was claimed at second 10.
func touched(status string) *scene {
	s := newScene()
	s.write(torture.Line{Op: torture.OpSend, ID: "f", Kind: torture.Form, Consent: true, Type: torture.PageViewed, Hash: "h-f"}).answered("f", torture.Acked)
	s.did("f").scored(1)
	s.tell(torture.Fact{Kind: torture.Claim, ID: "t1", At: at(10)})
	s.tell(torture.Fact{Kind: torture.Touch, ID: "t1", Ref: torture.Welcome, Status: status})
	// The rest of the program is there, so that nothing else is missing.
	s.tell(torture.Fact{Kind: torture.Touch, ID: "t2", Ref: torture.Welcome, Status: torture.StatusFailed})
	s.tell(torture.Fact{Kind: torture.Touch, ID: "t3", Ref: torture.Welcome, Status: torture.StatusFailed})
	return s.tell(torture.Fact{Kind: torture.Enrollment, Ref: torture.Welcome, Status: torture.StatusCompleted})
}

func (s *scene) mail(second int) *scene {
	return s.write(torture.Line{Op: torture.OpMail, ID: "t1", At: at(second), Began: at(second)})
}

func (s *scene) killed(second int) *scene {
	return s.write(torture.Line{Op: torture.OpFault, ID: "campaign-1", Who: "campaign", Type: "kill_campaign", Reason: "kill", At: at(second)})
}

func (s *scene) gaveUp(second int) *scene {
	return s.tell(torture.Fact{Kind: torture.Outcome, ID: "t1", Status: torture.StatusAmbiguous, At: at(second)}).tell(torture.Fact{Kind: torture.Parked, ID: "t1"})
}

func TestATouchGoesOutAtMostOnceAndAsItIsSaid(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		scene *scene
		want  wrongs
	}{
		"sent":                            {touched(torture.StatusSent).mail(11), wrongs{}},
		"sent twice":                      {touched(torture.StatusSent).mail(11).mail(12), wrongs{torture.DoubleSend: 1}},
		"said to be sent":                 {touched(torture.StatusSent), wrongs{torture.Omitted: 1}},
		"skipped and out":                 {touched(torture.StatusSkipped).mail(11), wrongs{torture.DupEffect: 1}},
		"never settled":                   {touched(torture.StatusPlanned), wrongs{torture.Unaccounted: 1}},
		"ambiguous, out":                  {touched(torture.StatusAmbiguous).mail(11).killed(12).gaveUp(20), wrongs{}},
		"ambiguous, not out":              {touched(torture.StatusAmbiguous).killed(12).gaveUp(20), wrongs{}},
		"ambiguous, then sent":            {touched(torture.StatusAmbiguous).killed(12).gaveUp(20).mail(21), wrongs{torture.DoubleSend: 1}},
		"ambiguous for no reason":         {touched(torture.StatusAmbiguous).mail(11).gaveUp(20), wrongs{torture.Unexplained: 1}},
		"ambiguous, and nobody is told":   {touched(torture.StatusAmbiguous).killed(12).tell(torture.Fact{Kind: torture.Outcome, ID: "t1", Status: torture.StatusAmbiguous, At: at(20)}), wrongs{torture.Unaccounted: 1}},
		"a mail that nobody planned":      {newScene().mail(11), wrongs{torture.DupEffect: 1}},
		"claimed after an unsubscribe":    {touched(torture.StatusSent).mail(11).tell(torture.Fact{Kind: torture.Suppressed, At: at(9)}), wrongs{torture.LateSend: 1, torture.Lost: 1}},
		"claimed before an unsubscribe":   {touched(torture.StatusSent).mail(11).tell(torture.Fact{Kind: torture.Suppressed, At: at(10)}), wrongs{torture.Lost: 1}},
		"still nurtured when suppressed":  {newScene().sent("a", torture.Track).did("a").scored(1).tell(torture.Fact{Kind: torture.Suppressed}), wrongs{torture.Lost: 1}},
		"the journey ended before a mail": {touched(torture.StatusSent).mail(11).tell(torture.Fact{Kind: torture.Enrollment, Ref: torture.Recycled, Status: torture.StatusActive}), wrongs{torture.Unaccounted: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.scene.wrongs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAHandoffIsDeliveredOrParkedAndNeverBoth(t *testing.T) {
	t.Parallel()
	handed := func(status string) *scene {
		s := newScene()
		s.write(torture.Line{Op: torture.OpSend, ID: "d", Kind: torture.Form, Type: torture.DemoRequested, Hash: "h-d"}).answered("d", torture.Acked)
		s.tell(torture.Fact{Kind: torture.Activity, ID: "d", Type: torture.DemoRequested, Hash: "h-d"})
		s.tell(torture.Fact{Kind: torture.Score, Points: 100, Status: torture.StageAssigned}).tell(torture.Fact{Kind: torture.Qualified})
		return s.tell(torture.Fact{Kind: torture.Handoff, Status: "assigned"}).tell(torture.Fact{Kind: torture.Delivery, ID: "ho", Status: status})
	}
	hook := func(s *scene, code int) *scene {
		return s.write(torture.Line{Op: torture.OpHook, ID: "ho", Code: code})
	}
	parked := func(s *scene) *scene { return s.tell(torture.Fact{Kind: torture.Parked, ID: "ho"}) }
	for name, tt := range map[string]struct {
		scene *scene
		want  wrongs
	}{
		"delivered":                {hook(handed(torture.StatusDelivered), 200), wrongs{}},
		"delivered at last":        {hook(hook(handed(torture.StatusDelivered), 500), 200), wrongs{}},
		"delivered, twice the id":  {hook(hook(handed(torture.StatusDelivered), 200), 200), wrongs{}},
		"said to be delivered":     {handed(torture.StatusDelivered), wrongs{torture.Lost: 1}},
		"parked":                   {parked(hook(handed(torture.StatusParked), 500)), wrongs{}},
		"given up, not parked":     {hook(handed(torture.StatusParked), 500), wrongs{torture.Unaccounted: 1}},
		"given up, and arrived":    {parked(hook(handed(torture.StatusParked), 200)), wrongs{torture.DupEffect: 1}},
		"given up without a try":   {parked(handed(torture.StatusParked)), wrongs{torture.Unexplained: 1}},
		"still under way":          {hook(handed(torture.StatusRetrying), 500), wrongs{torture.Unaccounted: 1}},
		"a webhook nobody planned": {newScene().write(torture.Line{Op: torture.OpHook, ID: "x", Code: 200}), wrongs{torture.DupEffect: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.scene.wrongs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheLastLineSaysItAll(t *testing.T) {
	t.Parallel()
	s := newScene().sent("a", torture.Track).answered("a", torture.Acked)
	text := torture.Check(&s.ev).Text()
	want := "events=1 acked=1 lost=1 dup_effects=0 double_sends=0 order_inversions=0 ambiguous=0 unaccounted=0 seed=1\n"
	if !strings.HasSuffix(text, want) || !strings.Contains(text, "WRONG lost: track a of p1 was acknowledged (line 2)") {
		t.Errorf("report:\n%s\nwant it to end in\n%s", text, want)
	}
}
