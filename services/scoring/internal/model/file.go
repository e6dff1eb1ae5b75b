// Package model is the scoring model a person writes in YAML, checked and
// compiled: fit rules, behaviour rules, bands, the lines of qualification and
// the fast track.
package model

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/nurturehq/nurture/pkg/config"
)

// File is a model as it is written.
type File struct {
	// Name of the model; with the hash of the content it makes the version.
	Name        config.Text `yaml:"name"`
	Description string      `yaml:"description,omitempty"`
	Fit         Fit         `yaml:"fit"`
	Behaviour   Behaviour   `yaml:"behaviour"`
	Qualify     Qualify     `yaml:"qualify"`
	FastTrack   []Fast      `yaml:"fast_track,omitempty"`
}

// Fit says how well the lead matches who the product is for.
type Fit struct {
	Bands  FitBands   `yaml:"bands"`
	Groups []FitGroup `yaml:"groups,omitempty"`
}

// FitBands are the least points of the bands A and B; what is below is C.
type FitBands struct {
	A Number `yaml:"A"`
	B Number `yaml:"B"`
}

// FitGroup is a set of rules that together give at most Cap points.
type FitGroup struct {
	ID    config.Text `yaml:"id"`
	Cap   Number      `yaml:"cap,omitempty"`
	Rules []FitRule   `yaml:"rules"`
}

// FitRule gives points while its condition over `lead` holds.
type FitRule struct {
	ID     config.Text `yaml:"id"`
	When   config.Text `yaml:"when"`
	Points Number      `yaml:"points"`
	Text   string      `yaml:"text,omitempty"`
}

// Behaviour says how interested the lead is by what it does.
type Behaviour struct {
	Bands BehaviourBands `yaml:"bands"`
	// HalfLife is for the groups and rules that have none of their own.
	HalfLife Span             `yaml:"half_life,omitempty"`
	Groups   []BehaviourGroup `yaml:"groups,omitempty"`
}

// BehaviourBands are the least points of the bands 1, 2 and 3; below is 4.
type BehaviourBands struct {
	One   Number `yaml:"1"`
	Two   Number `yaml:"2"`
	Three Number `yaml:"3"`
}

// BehaviourGroup is a set of rules whose positive points together reach at
// most Cap.
type BehaviourGroup struct {
	ID       config.Text     `yaml:"id"`
	Cap      Number          `yaml:"cap,omitempty"`
	HalfLife Span            `yaml:"half_life,omitempty"`
	Rules    []BehaviourRule `yaml:"rules"`
}

// BehaviourRule gives points for each activity of a type, fading by half every
// HalfLife.
type BehaviourRule struct {
	ID config.Text `yaml:"id"`
	// On is the type of activity, When an optional condition over `activity`.
	On       config.Text `yaml:"on"`
	When     config.Text `yaml:"when,omitempty"`
	Points   Number      `yaml:"points"`
	HalfLife Span        `yaml:"half_life,omitempty"`
	// DailyCap bounds the points of one UTC day; none when absent.
	DailyCap Number `yaml:"daily_cap,omitempty"`
	Text     string `yaml:"text,omitempty"`
}

// Qualify draws the lines.
type Qualify struct {
	// A, B and C are the lines for each fit band. A band without them never
	// qualifies by points.
	A *Line `yaml:"A,omitempty"`
	B *Line `yaml:"B,omitempty"`
	C *Line `yaml:"C,omitempty"`
	// CoolDown is how long a lead keeps a verdict by points. Default 24h.
	CoolDown Span `yaml:"cool_down,omitempty"`
	// Renew is how many points of new behaviour a lead that sales gave back
	// needs before it qualifies by points again.
	Renew Number `yaml:"renew,omitempty"`
}

// Line is where behaviour qualifies a lead, and where it loses that again.
type Line struct {
	Hi Number `yaml:"theta_hi"`
	Lo Number `yaml:"theta_lo"`
}

// Fast is a rule that makes a lead ready now, whatever its points.
type Fast struct {
	ID config.Text `yaml:"id"`
	On config.Text `yaml:"on"`
	// When is an optional condition over `activity` and `lead`.
	When config.Text `yaml:"when,omitempty"`
	Text string      `yaml:"text,omitempty"`
}

// Place is where something stands in the file, counted from 1.
type Place struct{ Line, Col int }

// Number is a count of points that remembers its place and whether it was given.
type Number struct {
	Place
	Value float64
	Given bool
}

// UnmarshalYAML reads a finite number.
func (v *Number) UnmarshalYAML(n *yaml.Node) error {
	f, err := strconv.ParseFloat(n.Value, 64)
	if n.Kind != yaml.ScalarNode || err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return fmt.Errorf("expected a number, found %q", n.Value)
	}
	v.Value, v.Place, v.Given = f, placeOf(n), true
	return nil
}

// Span is a length of time: "90s", "12h", "7d", "2w", or several: "1d12h".
type Span struct {
	Place
	Value time.Duration
	Given bool
}

// UnmarshalYAML reads a positive length of time, or 0.
func (s *Span) UnmarshalYAML(n *yaml.Node) error {
	d, err := config.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || d < 0 {
		return fmt.Errorf("expected a duration like 90s, 12h, 7d or 2w, found %q", n.Value)
	}
	s.Value, s.Place, s.Given = d, placeOf(n), true
	return nil
}

func placeOf(n *yaml.Node) Place { return Place{Line: n.Line, Col: n.Column} }
