package torture

import (
	"math"
	"slices"
)

// Types of activities, and what one of each is worth in the model of the run.
// Interest does not fade there, so that a score is a sum.
const (
	PageViewed    = "page_viewed"
	CaseRead      = "case_read"
	FormSubmitted = "form_submitted"
	DemoRequested = "demo_requested"
)

// PointsOf is what one activity of a type is worth.
func PointsOf(kind string) float64 {
	switch kind {
	case PageViewed:
		return 1
	case CaseRead:
		return 3
	case FormSubmitted:
		return 10
	case DemoRequested:
		return 100
	}
	return 0
}

// Stages as facts tell them.
const (
	StageNurturing  = "nurturing"
	StageQualified  = "qualified"
	StageAssigned   = "assigned"
	StageAccepted   = "accepted"
	StageRejected   = "rejected"
	StageRecycled   = "recycled"
	StageSuppressed = "suppressed"
)

// leadFacts is what the logs say about one lead.
type leadFacts struct {
	points float64
	demos  int
}

// scores: every lead has the sum of what it did, and the stage that follows
// from it.
func (c *court) scores() {
	sums := map[string]*leadFacts{}
	var leads []string
	for _, f := range c.facts[Activity] {
		s := sums[f.Lead]
		if s == nil {
			s = &leadFacts{}
			sums[f.Lead] = s
			leads = append(leads, f.Lead)
		}
		s.points += PointsOf(f.Type)
		if f.Type == DemoRequested {
			s.demos++
		}
	}
	scores := byLead(c.facts[Score])
	qualified := byLead(c.facts[Qualified])
	for _, lead := range leads {
		c.score(lead, sums[lead], scores[lead])
		c.qualified(lead, sums[lead], len(qualified[lead]))
	}
	for lead := range qualified {
		if sums[lead] == nil {
			c.r.wrong(DupEffect, "%s was qualified and did nothing", lead)
		}
	}
}

func byLead(facts []Fact) map[string][]Fact {
	m := map[string][]Fact{}
	for _, f := range facts {
		m[f.Lead] = append(m[f.Lead], f)
	}
	return m
}

// tolerance is how far the sum of points may be from the score: what fades in
// the minutes of a run when half of it is gone in a hundred years.
const tolerance = 0.1

func (c *court) score(lead string, did *leadFacts, scores []Fact) {
	if len(scores) == 0 {
		c.r.wrong(Lost, "%s did things worth %v points and has no score", lead, did.points)
		return
	}
	got := scores[len(scores)-1]
	switch diff := got.Points - did.points; {
	case math.Abs(diff) <= tolerance:
	case diff < 0:
		c.r.wrong(Lost, "%s has %v points, what it did is worth %v", lead, got.Points, did.points)
	default:
		c.r.wrong(DupEffect, "%s has %v points, what it did is worth %v", lead, got.Points, did.points)
	}
	if may := c.stages(lead, did); !slices.Contains(may, got.Status) {
		c.r.wrong(Lost, "%s is %s and should be one of %v", lead, got.Status, may)
	}
}

// stages are those a lead may be in at the end.
func (c *court) stages(lead string, did *leadFacts) []string {
	for _, f := range c.facts[Suppressed] {
		if f.Lead == lead {
			return []string{StageSuppressed}
		}
	}
	if did.demos == 0 {
		return []string{StageNurturing}
	}
	for _, f := range c.facts[Command] {
		switch {
		case f.Lead == lead && f.Type == string(Accept):
			return []string{StageAccepted}
		case f.Lead == lead && f.Type == string(Reject):
			return []string{StageRecycled, StageNurturing}
		}
	}
	return []string{StageAssigned}
}

// qualified: who asked for a demo was told to sales once, and nobody else was.
func (c *court) qualified(lead string, did *leadFacts, times int) {
	switch {
	case did.demos > 0 && times == 0:
		c.r.wrong(Lost, "%s asked for a demo and was never qualified", lead)
	case did.demos == 0 && times > 0, times > 1:
		c.r.wrong(DupEffect, "%s asked for %d demos and was qualified %d times", lead, did.demos, times)
	}
}
