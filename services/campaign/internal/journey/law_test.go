package journey_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
)

// anyInput lets one arbitrary thing happen.
func anyInput(t *rapid.T, w *world) {
	w.pass(time.Duration(rapid.IntRange(0, 7200).Draw(t, "seconds")) * time.Second)
	touch := fmt.Sprintf("%s-t%d", lead, rapid.IntRange(1, 9).Draw(t, "touch"))
	switch what := rapid.SampledFrom([]string{"told", "stage", "sales", "does", "outcome", "due", "enroll", "exit"}).Draw(t, "what"); what {
	case "told":
		f := &leadv1.Facts{HasEmail: rapid.Bool().Draw(t, "email"), Suppressed: rapid.IntRange(0, 9).Draw(t, "suppressed") == 0}
		w.turn(func(turn *journey.Turn) { turn.LeadTold(f, nil) })
	case "stage":
		w.stage(leadv1.Stage(rapid.IntRange(1, 3).Draw(t, "stage")))
	case "sales":
		s := leadv1.Stage(rapid.IntRange(4, 10).Draw(t, "stage"))
		w.turn(func(turn *journey.Turn) { turn.SalesTold(s, s == leadv1.Stage_STAGE_RECYCLED) })
	case "does":
		w.does(rapid.SampledFrom([]string{"email_clicked", "email_opened", "email_delivered", "email_bounced", "page_viewed"}).Draw(t, "activity"), "touch_id", touch)
	case "outcome":
		w.outcome(touch, campaignv1.TouchStatus(rapid.IntRange(2, 6).Draw(t, "status")), w.now.Add(time.Hour))
	case "due":
		if !w.wake.IsZero() && !w.now.Before(w.wake) {
			w.turn(func(turn *journey.Turn) { turn.Due() })
		}
	case "enroll":
		w.turn(func(turn *journey.Turn) {
			_ = turn.Enroll(rapid.SampledFrom([]string{"welcome", "recycle"}).Draw(t, "program"))
		})
	case "exit":
		w.turn(func(turn *journey.Turn) {
			_ = turn.Exit(rapid.SampledFrom([]string{"welcome", "recycle"}).Draw(t, "program"), "")
		})
	}
}

func TestWhateverHappensTheLawsHold(t *testing.T) {
	t.Parallel()
	book := bookOf(t, welcome, recycle, keepWarm)
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: t, book: book, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
		for range rapid.IntRange(1, 60).Draw(rt, "inputs") {
			anyInput(rt, w)
			if err := broken(w); err != "" {
				rt.Fatal(err)
			}
		}
		if err := twicePlanned(w); err != "" {
			rt.Fatal(err)
		}
	})
}

// broken names the first law of a state that does not hold.
func broken(w *world) string {
	if w.state == nil {
		return ""
	}
	onItsWay, running := 0, map[string]int{}
	for _, touch := range w.state.Touches {
		if touch.Status == campaignv1.TouchStatus_TOUCH_STATUS_PLANNED && w.now.Before(touch.PlannedAt.AsTime().Add(journey.Watchdog)) {
			onItsWay++
		}
	}
	for _, e := range w.state.Enrollments {
		if e.Status != campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE {
			continue
		}
		running[e.Program]++
		if e.Step == "" {
			return "an active enrollment stands nowhere: " + e.String()
		}
	}
	for name, n := range running {
		if n > 1 {
			return fmt.Sprintf("%d stays in %s at once", n, name)
		}
	}
	nurturable := w.state.Stage <= leadv1.Stage_STAGE_QUALIFIED || w.state.Stage >= leadv1.Stage_STAGE_REJECTED && w.state.Stage <= leadv1.Stage_STAGE_RECYCLED
	ours := nurturable && !w.state.View.Lead.Suppressed
	switch {
	case onItsWay > 1:
		return fmt.Sprintf("%d touches on their way at once", onItsWay)
	case ours && w.wake.IsZero():
		return "a lead that is ours is forgotten: nothing wakes it"
	case !ours && len(running) > 0:
		return fmt.Sprintf("a lead that is not ours is in %v", slices.Collect(maps.Keys(running)))
	}
	return ""
}

// twicePlanned finds a visit of a step that planned two touches.
func twicePlanned(w *world) string {
	visit, plans := map[string]int{}, map[string]string{}
	for _, e := range w.events {
		if s := e.GetStepEntered(); s != nil {
			visit[s.EnrollmentId]++
		}
		if p := e.GetTouchPlanned(); p != nil {
			key := fmt.Sprintf("%s visit %d", p.Touch.EnrollmentId, visit[p.Touch.EnrollmentId])
			if first, seen := plans[key]; seen && first != p.Touch.Id {
				return fmt.Sprintf("%s planned %s and %s", key, first, p.Touch.Id)
			}
			plans[key] = p.Touch.Id
		}
	}
	return ""
}

func TestAnInputTwiceChangesNothingMore(t *testing.T) {
	t.Parallel()
	book := bookOf(t, welcome, recycle, keepWarm)
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: t, book: book, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
		w.captured()
		for range rapid.IntRange(1, 20).Draw(rt, "inputs") {
			anyInput(rt, w)
		}
		again := func(tell func(*journey.Turn)) {
			w.turn(tell)
			before, events := proto.CloneOf(w.state), len(w.events)
			w.turn(tell)
			if diff := cmp.Diff(before, w.state, protocmp.Transform()); diff != "" || len(w.events) != events {
				rt.Fatalf("the second time changed (-first +second):\n%s", diff)
			}
		}
		facts, stage, now := proto.CloneOf(w.state.View.Lead), w.state.Stage, w.now
		again(func(turn *journey.Turn) { turn.LeadTold(facts, nil) })
		again(func(turn *journey.Turn) { turn.ScoreTold(&leadv1.ScoreFacts{Fit: 3}, stage, now) })
		touch := fmt.Sprintf("%s-t%d", lead, w.state.Touched)
		again(func(turn *journey.Turn) {
			turn.Settled(&campaignv1.Outcome{TouchId: touch, Status: campaignv1.TouchStatus_TOUCH_STATUS_SENT})
		})
	})
}

func TestTheSameInputsGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	book := bookOf(t, welcome, recycle, keepWarm)
	run := func(seed []int) []byte {
		w := &world{t: t, book: book, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
		w.captured()
		w.stage(leadv1.Stage_STAGE_NURTURING)
		for _, n := range seed {
			w.pass(time.Duration(n) * time.Minute)
			w.sent(fmt.Sprintf("%s-t%d", lead, n))
			if !w.now.Before(w.wake) {
				w.turn(func(turn *journey.Turn) { turn.Due() })
			}
		}
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(w.state)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.SliceOfN(rapid.IntRange(1, 300), 1, 20).Draw(rt, "seed")
		if diff := cmp.Diff(run(seed), run(seed)); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestAProgramThatIsNotEvergreenAlwaysEnds(t *testing.T) {
	t.Parallel()
	book := bookOf(t, welcome)
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: t, book: book, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
		w.captured()
		w.stage(leadv1.Stage_STAGE_NURTURING)
		for range 200 {
			e := w.in("welcome")
			if e.Status != campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE {
				return
			}
			if e.TouchId != "" && rapid.IntRange(0, 3).Draw(rt, "answered") > 0 {
				w.outcome(e.TouchId, campaignv1.TouchStatus(rapid.IntRange(3, 6).Draw(rt, "status")), time.Time{})
				continue
			}
			w.due()
		}
		rt.Fatalf("still at %s", w.in("welcome").Step)
	})
}

func TestAStateNeverOutgrowsItsBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome, recycle, keepWarm)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	for i := range 500 {
		w.pass(30 * time.Minute)
		if !w.now.Before(w.wake) && !w.wake.IsZero() {
			w.turn(func(turn *journey.Turn) { turn.Due() })
		}
		w.sent(fmt.Sprintf("%s-t%d", lead, w.state.Touched))
		if i%7 == 0 {
			w.turn(func(turn *journey.Turn) { turn.SalesTold(leadv1.Stage_STAGE_RECYCLED, true) })
		}
	}
	if n, m, k := len(w.state.Enrollments), len(w.state.Touches), len(w.state.Sends); n > 40 || m > 64 || k > 64 {
		t.Errorf("%d enrollments, %d touches, %d sends", n, m, k)
	}
	if journey.Stay(w.state, "welcome") == nil {
		t.Error("the stay that re-entry is decided by was forgotten")
	}
}
