package score

import (
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/services/scoring/internal/model"

	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// Grain is what points are rounded to when they are read: about a millionth.
// It is a power of two, so that the rounded parts of a score add up to it
// exactly, in whatever order.
const Grain = 1.0 / (1 << 20)

func round(points float64) float64 { return math.Round(points/Grain) * Grain }

// line is one part of a score: a rule's points or, with an empty rule, what a
// group's cap takes away.
type line struct {
	axis              scoringv1.Reason_Axis
	group, rule, text string
	points            float64
	last              *timestamppb.Timestamp
}

// Fit adds up the fit rules that match.
func Fit(m *model.Model, matched []string) float64 {
	total := 0.0
	fitLines(m, matched, func(l line) { total += l.points })
	return total
}

// Behaviour adds up the counters as of a moment.
func Behaviour(m *model.Model, counters []*scoringv1.Counter, at time.Time) float64 {
	total := 0.0
	behaviourLines(m, counters, at, func(l line) { total += l.points })
	return total
}

// Reasons takes a score apart as of a moment, in the model's order. The points
// of an axis sum to Fit or Behaviour exactly.
func Reasons(m *model.Model, s *scoringv1.State, at time.Time) []*scoringv1.Reason {
	var reasons []*scoringv1.Reason
	add := func(l line) {
		reasons = append(reasons, &scoringv1.Reason{
			Axis: l.axis, Group: l.group, Rule: l.rule, Text: l.text, Points: l.points, LastAt: l.last,
		})
	}
	fitLines(m, s.GetFitRules(), add)
	behaviourLines(m, s.GetCounters(), at, add)
	return reasons
}

// Matched lists the fit rules that hold, in the model's order. A rule that
// cannot be answered for this profile does not hold.
func Matched(m *model.Model, vars map[string]any) []string {
	var ids []string
	for _, g := range m.Fit {
		for _, r := range g.Rules {
			if ok, err := r.When.Bool(vars); ok && err == nil {
				ids = append(ids, r.ID)
			}
		}
	}
	return ids
}

func fitLines(m *model.Model, matched []string, visit func(line)) {
	for _, g := range m.Fit {
		positive := 0.0
		for _, r := range g.Rules {
			if !slices.Contains(matched, r.ID) {
				continue
			}
			l := line{axis: scoringv1.Reason_AXIS_FIT, group: g.ID, rule: r.ID, text: r.Text, points: round(r.Points)}
			positive += max(0, l.points)
			visit(l)
		}
		capLine(scoringv1.Reason_AXIS_FIT, g.ID, g.Cap, positive, visit)
	}
}

func behaviourLines(m *model.Model, counters []*scoringv1.Counter, at time.Time, visit func(line)) {
	for _, g := range m.Behaviour {
		positive := 0.0
		for _, c := range counters {
			r := m.Rule(c.GetRule())
			if r == nil || r.Group != g.ID {
				continue
			}
			points := round(Value(c, at, r.HalfLife))
			if points == 0 {
				continue
			}
			positive += max(0, points)
			visit(line{axis: scoringv1.Reason_AXIS_BEHAVIOUR, group: g.ID, rule: r.ID, text: r.Text, points: points, last: c.GetLastAt()})
		}
		capLine(scoringv1.Reason_AXIS_BEHAVIOUR, g.ID, g.Cap, positive, visit)
	}
}

// capLine tells what the cap of a group takes away. Points below zero stand
// outside the cap: they always count in full.
func capLine(axis scoringv1.Reason_Axis, group string, limit, positive float64, visit func(line)) {
	if excess := round(positive - limit); !math.IsInf(limit, 1) && excess > 0 {
		visit(line{axis: axis, group: group, text: "at most " + number(limit) + " points from " + group, points: -excess})
	}
}
