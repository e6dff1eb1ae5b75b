package model

import (
	"math"
	"time"

	"github.com/nurturehq/nurture/pkg/expr"
)

// Model is compiled and never changes. It is safe for concurrent use.
type Model struct {
	// Version is the name and the hash of the content: the same rules have the
	// same version wherever they are written.
	Version     string
	Description string
	Fit         []Group[*ProfileRule]
	Behaviour   []Group[*Rule]
	FitBands    [2]float64
	Bands       [3]float64
	// Lines are those of the fit bands A, B and C.
	Lines    [3]Threshold
	CoolDown time.Duration
	// Renew is how many points of new behaviour a lead given back by sales needs;
	// always above zero.
	Renew     float64
	FastTrack []FastTrack
	// Conditions are those of all rules.
	Conditions []*expr.Program

	fit    map[string]*ProfileRule
	rules  map[string]*Rule
	byType map[string][]*Rule
}

// Group is a set of rules whose positive points count up to Cap; Cap is
// infinite when there is none.
type Group[R any] struct {
	ID    string
	Cap   float64
	Rules []R
}

// ProfileRule is one compiled rule over the profile.
type ProfileRule struct {
	ID, Text string
	Points   float64
	When     *expr.Program
}

// Rule is one compiled rule over activities.
type Rule struct {
	ID, Text, Group string
	On              string
	// When is nil when every activity of the type counts.
	When     *expr.Program
	Points   float64
	HalfLife time.Duration
	// DailyCap is infinite when there is none.
	DailyCap float64
}

// Threshold is where behaviour qualifies a lead of a fit band and where it
// loses that; both are infinite when the band never qualifies by points.
type Threshold struct{ Hi, Lo float64 }

// Never reports whether no behaviour is enough.
func (t Threshold) Never() bool { return math.IsInf(t.Hi, 1) }

// FastTrack is one compiled rule of the fast track.
type FastTrack struct {
	ID, Text, On string
	// When is nil when every activity of the type counts.
	When *expr.Program
}

// On gives the behaviour rules for a type of activity.
func (m *Model) On(activity string) []*Rule { return m.byType[activity] }

// Rule finds a behaviour rule; nil when the model has none of that id.
func (m *Model) Rule(id string) *Rule { return m.rules[id] }

// FitRule finds a fit rule; nil when the model has none of that id.
func (m *Model) FitRule(id string) *ProfileRule { return m.fit[id] }

// FitBand gives 0 for A, 1 for B, 2 for C.
func (m *Model) FitBand(points float64) int { return band(points, m.FitBands[:]) }

// Band gives 0 for 1, 1 for 2, 2 for 3, 3 for 4.
func (m *Model) Band(points float64) int { return band(points, m.Bands[:]) }

func band(points float64, least []float64) int {
	for i, l := range least {
		if points >= l {
			return i
		}
	}
	return len(least)
}

// Grade names the cell of the matrix: "A1", the best, to "C4".
func (m *Model) Grade(fit, behaviour float64) string {
	return "ABC"[m.FitBand(fit):][:1] + "1234"[m.Band(behaviour):][:1]
}

// Line gives the threshold for a lead of that fit.
func (m *Model) Line(fit float64) Threshold { return m.Lines[m.FitBand(fit)] }
