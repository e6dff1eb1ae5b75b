// Package score is the arithmetic of a score: half-life counters, caps, the
// reasons that add up to it, and the moment at which it will cross a line by
// fading alone.
package score

import (
	"cmp"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/services/scoring/internal/model"

	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// Faded gives what is left of a value after a time: half of it each half-life.
// A negative time gives what it must have been before.
func Faded(value float64, after, halfLife time.Duration) float64 {
	if after == 0 {
		return value
	}
	return value * math.Exp2(-float64(after)/float64(halfLife))
}

// Bump adds points that were earned at a moment to a counter. The result does
// not depend on the order in which moments arrive: a late one is faded to the
// counter's own moment, an early one moves the counter forward.
func Bump(c *scoringv1.Counter, points float64, at time.Time, halfLife time.Duration) {
	was := c.GetAt()
	if was == nil {
		c.Value, c.At = points, timestamppb.New(at)
		return
	}
	gap := at.Sub(was.AsTime())
	if gap <= 0 {
		c.Value += Faded(points, -gap, halfLife)
		return
	}
	c.Value = Faded(c.GetValue(), gap, halfLife) + points
	c.At = timestamppb.New(at)
}

// Value reads a counter at a moment, before it if need be.
func Value(c *scoringv1.Counter, at time.Time, halfLife time.Duration) float64 {
	return Faded(c.GetValue(), at.Sub(c.GetAt().AsTime()), halfLife)
}

// Count adds one activity to the counter of a rule and answers the points that
// the rule's daily cap let pass.
func Count(counters *[]*scoringv1.Counter, rule *model.Rule, at time.Time) float64 {
	c := counterOf(counters, rule.ID)
	points := allow(c, rule, at)
	if points == 0 {
		return 0
	}
	Bump(c, points, at, rule.HalfLife)
	if last := c.GetLastAt(); last == nil || at.After(last.AsTime()) {
		c.LastAt = timestamppb.New(at)
	}
	return points
}

// TakeBack takes points away that Count added for an activity of that moment, and
// gives its day the allowance back. Nothing is left to take from a counter that
// has faded away, unless they were counted elsewhere and are taken away here.
func TakeBack(counters *[]*scoringv1.Counter, rule *model.Rule, points float64, at time.Time, elsewhere bool) {
	_, found := slices.BinarySearchFunc(*counters, rule.ID, func(c *scoringv1.Counter, id string) int {
		return cmp.Compare(c.GetRule(), id)
	})
	if !found && !elsewhere {
		return
	}
	c := counterOf(counters, rule.ID)
	Bump(c, -points, at, rule.HalfLife)
	switch day := dayOf(at); {
	case math.IsInf(rule.DailyCap, 1):
	case day == c.GetDay():
		c.DayPoints = max(0, c.GetDayPoints()-math.Abs(points))
	case day < c.GetDay():
		c.PreviousPoints = max(0, c.GetPreviousPoints()-math.Abs(points))
	}
}

// counterOf finds a rule's counter or makes it, keeping the order by rule.
func counterOf(counters *[]*scoringv1.Counter, rule string) *scoringv1.Counter {
	i, found := slices.BinarySearchFunc(*counters, rule, func(c *scoringv1.Counter, id string) int {
		return cmp.Compare(c.GetRule(), id)
	})
	if !found {
		*counters = slices.Insert(*counters, i, &scoringv1.Counter{Rule: rule})
	}
	return (*counters)[i]
}

// allow takes the points of one activity from the allowance of its UTC day.
// Late activities of earlier days share the allowance of the day before the
// latest one, so that a burst of old events cannot pass the cap.
func allow(c *scoringv1.Counter, rule *model.Rule, at time.Time) float64 {
	if math.IsInf(rule.DailyCap, 1) {
		return rule.Points
	}
	day := dayOf(at)
	switch {
	case day == c.GetDay()+1:
		c.Day, c.PreviousPoints, c.DayPoints = day, c.GetDayPoints(), 0
	case day > c.GetDay():
		c.Day, c.PreviousPoints, c.DayPoints = day, 0, 0
	}
	used := &c.DayPoints
	if day < c.GetDay() {
		used = &c.PreviousPoints
	}
	points := math.Copysign(max(0, min(math.Abs(rule.Points), rule.DailyCap-*used)), rule.Points)
	*used += math.Abs(points)
	return points
}

func dayOf(at time.Time) int64 {
	return int64(math.Floor(float64(at.Unix()) / (24 * 60 * 60)))
}

// Prune drops the counters that do not count any more: faded to nothing and of
// a day whose allowance is over, or of a rule the model does not have.
func Prune(m *model.Model, s *scoringv1.State, now time.Time) {
	s.Counters = prune(m, s.GetCounters(), now)
	for _, sh := range s.GetShares() {
		sh.Counters = prune(m, sh.GetCounters(), now)
	}
}

func prune(m *model.Model, counters []*scoringv1.Counter, now time.Time) []*scoringv1.Counter {
	today := dayOf(now)
	return slices.DeleteFunc(counters, func(c *scoringv1.Counter) bool {
		rule := m.Rule(c.GetRule())
		if rule == nil {
			return true
		}
		spent := math.IsInf(rule.DailyCap, 1) || c.GetDay()+1 < today
		return spent && round(Value(c, now, rule.HalfLife)) == 0
	})
}
