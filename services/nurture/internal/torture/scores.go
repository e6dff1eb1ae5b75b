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

// PointsOf is what one activity of a type is worth. In earnest opens should weigh
// nothing: here whatever counts is to be seen.
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
	case Opened:
		return 2
	case Clicked:
		return 5
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

// assigned is the type of the webhook that hands a lead over.
const assigned = "com.nurture.handoff.assigned"

// leadFacts is what the logs say about one lead.
type leadFacts struct {
	points float64
	// demos are those that it asked for itself, kin those of all who ever were one
	// with it.
	demos, kin int
}

// scores: every lead has the sum of what it did, and the stage that follows
// from it.
func (c *court) scores() {
	sums, demos := map[string]*leadFacts{}, map[string]int{}
	var leads []string
	for _, f := range c.facts[Activity] {
		s := sums[f.Lead]
		if s == nil {
			s = &leadFacts{}
			sums[f.Lead] = s
			leads = append(leads, f.Lead)
		}
		if c.counts(f) {
			s.points += PointsOf(f.Type)
		}
		if f.Type == DemoRequested {
			s.demos++
			demos[c.kin(f.Lead)]++
		}
	}
	scores := byLead(c.facts[Score])
	for _, lead := range leads {
		sums[lead].kin = demos[c.kin(lead)]
		c.score(lead, sums[lead], scores[lead])
	}
	c.qualified(demos)
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
	if c.partings(c.kin(lead)) > 0 {
		return c.stagesApart(did)
	}
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

// stagesApart are those of a lead that was one with another one for a while. What
// sales and a mailbox said meanwhile may have been said of either, and whom sales
// got meanwhile stays there.
func (c *court) stagesApart(did *leadFacts) []string {
	may := []string{StageSuppressed, StageNurturing, StageRecycled}
	if did.kin > 0 {
		may = append(may, StageAssigned, StageAccepted)
	}
	return may
}

// qualified: who asked for a demo was told to sales once, as whichever lead, and
// nobody else was. Leads that are separated may each be told once more.
func (c *court) qualified(demos map[string]int) {
	times, handed := map[string]int{}, map[string]int{}
	for _, f := range c.own[Qualified] {
		times[f.Lead]++
	}
	for lead, n := range times {
		kin := c.kin(lead)
		if demos[kin] == 0 || n > 1+c.partings(kin) {
			c.r.wrong(DupEffect, "%s asked for %d demos and was qualified %d times", lead, demos[kin], n)
		}
	}
	for _, d := range c.own[Delivery] {
		if d.Type == assigned {
			handed[c.kin(d.Lead)]++
		}
	}
	for kin, n := range handed {
		if n > 1+c.partings(kin) {
			c.r.wrong(DupEffect, "%s was handed over to sales %d times", kin, n)
		}
	}
	for kin := range demos {
		if !slices.ContainsFunc(c.own[Qualified], func(f Fact) bool { return c.kin(f.Lead) == kin }) {
			c.r.wrong(Lost, "%s asked for a demo and was never qualified", kin)
		}
	}
}
