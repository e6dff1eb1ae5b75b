package score_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/services/scoring/internal/model"
	"github.com/nurturehq/nurture/services/scoring/internal/score"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

const yamlModel = `
name: test
fit:
  bands: {A: 40, B: 20}
  groups:
    - id: company
      cap: 30
      rules:
        - {id: large, when: lead.employees >= 200, points: 25}
        - {id: served, when: 'lead.country == "DE"', points: 10}
        - {id: student, when: 'lead.job_title == "Student"', points: -15}
        - {id: gold, when: 'lead.attributes["plan"] == "gold"', points: 40}
behaviour:
  bands: {1: 60, 2: 30, 3: 10}
  half_life: 7d
  groups:
    - id: web
      cap: 60
      rules:
        - {id: pricing, on: page_viewed, points: 10, daily_cap: 20}
        - {id: read, on: page_viewed, points: 4, half_life: 2d}
    - id: mail
      rules:
        - {id: clicked, on: email_clicked, points: 8}
        - {id: unsubscribed, on: email_unsubscribed, points: -40, half_life: 30d}
qualify:
  A: {theta_hi: 60, theta_lo: 40}
`

func testModel(t testing.TB) *model.Model {
	t.Helper()
	m, err := model.Parse("model.yaml", []byte(yamlModel))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestInterestFadesByHalfInAWeek(t *testing.T) {
	near(t, "a week", score.Faded(10, week, week), 5, 1e-12)
	near(t, "two weeks", score.Faded(10, 2*week, week), 2.5, 1e-12)
	near(t, "no time", score.Faded(10, 0, week), 10, 0)
}

func TestTenPointsAndFivePointsAWeekLaterAreFiveAfterTwoWeeks(t *testing.T) {
	c := &scoringv1.Counter{}
	score.Bump(c, 10, start, week)
	score.Bump(c, 5, start.Add(week), week)
	near(t, "day 14", score.Value(c, start.Add(2*week), week), 5, 1e-12)
}

func TestALateActivityCountsAsIfItHadComeInTime(t *testing.T) {
	inTime, late := &scoringv1.Counter{}, &scoringv1.Counter{}
	score.Bump(inTime, 10, start, week)
	score.Bump(inTime, 5, start.Add(week), week)
	score.Bump(late, 5, start.Add(week), week)
	score.Bump(late, 10, start, week)
	near(t, "late", late.GetValue(), inTime.GetValue(), 1e-12)
	near(t, "late, day 14", score.Value(late, start.Add(2*week), week), 5, 1e-12)
}

func TestOnePointADayForeverIsTenPointSixRightAfterAnActivity(t *testing.T) {
	c := &scoringv1.Counter{}
	for i := range 400 {
		score.Bump(c, 1, start.Add(time.Duration(i)*day), week)
	}
	near(t, "after an activity", c.GetValue(), 10.607, 5e-4)
}

func TestAHundredPointsReachSixtyFiveInFourDaysAndAThird(t *testing.T) {
	got := score.CrossingTime(100, 65, week).Hours() / 24
	near(t, "crossing in days", got, 4.3504, 5e-5)
}

func TestACounterDoesNotDependOnTheOrderOfArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type hit struct {
			points float64
			at     time.Time
		}
		hits := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) hit {
			return hit{
				points: rapid.Float64Range(-50, 50).Draw(t, "points"),
				at:     start.Add(time.Duration(rapid.Int64Range(0, int64(60*day)).Draw(t, "at"))),
			}
		}), 1, 30).Draw(t, "hits")
		halfLife := time.Duration(rapid.Int64Range(int64(time.Hour), int64(60*day)).Draw(t, "half-life"))
		shuffled := rapid.Permutation(hits).Draw(t, "shuffled")
		a, b := &scoringv1.Counter{}, &scoringv1.Counter{}
		want := 0.0
		end := start.Add(60 * day)
		for i := range hits {
			score.Bump(a, hits[i].points, hits[i].at, halfLife)
			score.Bump(b, shuffled[i].points, shuffled[i].at, halfLife)
			want += score.Faded(hits[i].points, end.Sub(hits[i].at), halfLife)
		}
		if va, vb := score.Value(a, end, halfLife), score.Value(b, end, halfLife); math.Abs(va-vb) > 1e-9 || math.Abs(va-want) > 1e-9 {
			t.Fatalf("in order %v, shuffled %v, by hand %v", va, vb, want)
		}
	})
}

func TestADayCountsOnlyUpToItsCap(t *testing.T) {
	rule := testModel(t).Rule("pricing")
	s := &scoringv1.State{}
	var got []float64
	for _, at := range []time.Duration{
		0, time.Hour, 2 * time.Hour, // the third of the day is over the cap
		day, day + time.Hour, // a new day has a new allowance
		3 * time.Hour,      // late, for the full day before
		2 * day, -30 * day, // late by a month: takes the allowance of the day before, which is used up
	} {
		got = append(got, score.Count(&s.Counters, rule, start.Add(at)))
	}
	want := []float64{10, 10, 0, 10, 10, 0, 10, 0}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestTheLastPointsOfADayAreCountedInPart(t *testing.T) {
	rule := *testModel(t).Rule("pricing")
	rule.DailyCap = 25
	s := &scoringv1.State{}
	total := 0.0
	for range 5 {
		total += score.Count(&s.Counters, &rule, start)
	}
	near(t, "points of the day", total, 25, 0)
}

func TestReasonsNameEachRuleAndWhatTheCapTakesAway(t *testing.T) {
	m := testModel(t)
	s := &scoringv1.State{FitRules: []string{"large", "served", "student"}}
	for i := range 9 {
		at := start.Add(time.Duration(i) * day)
		score.Count(&s.Counters, m.Rule("pricing"), at)
		score.Count(&s.Counters, m.Rule("pricing"), at)
	}
	score.Count(&s.Counters, m.Rule("unsubscribed"), start.Add(9*day))
	var lines []string
	for _, r := range score.Reasons(m, s, start.Add(9*day)) {
		lines = append(lines, strings.Join([]string{r.GetGroup(), r.GetRule(), r.GetText()}, "|"))
	}
	want := []string{
		"company|large|large", "company|served|served", "company|student|student", "company||at most 30 points from company",
		"web|pricing|pricing", "web||at most 60 points from web", "mail|unsubscribed|unsubscribed",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	near(t, "fit", score.Fit(m, s.GetFitRules()), 30-15, 0)
	near(t, "behaviour", score.Behaviour(m, s.GetCounters(), start.Add(9*day)), 60-40, 0)
}

func TestReasonsAddUpToTheScoreExactlyInAnyOrder(t *testing.T) {
	m := testModel(t)
	rapid.Check(t, func(t *rapid.T) {
		s := anyState(t, m)
		at := start.Add(time.Duration(rapid.Int64Range(0, int64(90*day)).Draw(t, "at")))
		reasons := rapid.Permutation(score.Reasons(m, s, at)).Draw(t, "order")
		fit, behaviour := 0.0, 0.0
		for _, r := range reasons {
			if r.GetAxis() == scoringv1.Reason_AXIS_FIT {
				fit += r.GetPoints()
			} else {
				behaviour += r.GetPoints()
			}
		}
		if want := score.Fit(m, s.GetFitRules()); fit != want {
			t.Fatalf("fit %v, reasons %v", want, fit)
		}
		if want := score.Behaviour(m, s.GetCounters(), at); behaviour != want {
			t.Fatalf("behaviour %v, reasons %v", want, behaviour)
		}
	})
}

func anyState(t *rapid.T, m *model.Model) *scoringv1.State {
	s := &scoringv1.State{}
	for _, id := range []string{"large", "served", "student", "gold"} {
		if rapid.Bool().Draw(t, id) {
			s.FitRules = append(s.FitRules, id)
		}
	}
	for range rapid.IntRange(0, 40).Draw(t, "activities") {
		id := rapid.SampledFrom([]string{"pricing", "read", "clicked", "unsubscribed"}).Draw(t, "rule")
		score.Count(&s.Counters, m.Rule(id), start.Add(time.Duration(rapid.Int64Range(0, int64(30*day)).Draw(t, "when"))))
	}
	return s
}

func TestFitRulesThatCannotBeAnsweredDoNotHold(t *testing.T) {
	m := testModel(t)
	facts := &leadv1.Facts{Employees: 300, Country: "DE"} // no attribute "plan"
	got := score.Matched(m, map[string]any{"lead": facts})
	if strings.Join(got, ",") != "large,served" {
		t.Fatalf("got %v", got)
	}
}

func TestFadedCountersAreDroppedButNotWhileTheirDayLasts(t *testing.T) {
	m := testModel(t)
	s := &scoringv1.State{Counters: []*scoringv1.Counter{
		{Rule: "clicked", Value: 1e-9, At: timestamppb.New(start)},
		{Rule: "gone_from_the_model", Value: 50, At: timestamppb.New(start)},
		{Rule: "pricing", Value: 1e-9, At: timestamppb.New(start), Day: start.Unix() / 86400, DayPoints: 20},
		{Rule: "read", Value: 3, At: timestamppb.New(start)},
	}}
	score.Prune(m, s, start.Add(time.Hour))
	if len(s.GetCounters()) != 2 {
		t.Fatalf("kept %v", s.GetCounters())
	}
	score.Prune(m, s, start.Add(2*day))
	if len(s.GetCounters()) != 1 || s.GetCounters()[0].GetRule() != "read" {
		t.Fatalf("kept %v", s.GetCounters())
	}
}
