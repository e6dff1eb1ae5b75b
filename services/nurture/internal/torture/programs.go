package torture

import "slices"

// The programs of the run: what a lead gets that nobody qualifies, and what it
// gets when sales gave it back.
const (
	Welcome  = "welcome"
	Recycled = "recycled"
)

// The last step of the welcome program is one of two: Thanks when a person
// clicked while the journey waited for it.
const (
	Last   = "last"
	Thanks = "thanks"
)

// MailsOf is how many mails a journey through a program has.
func MailsOf(program string) int {
	switch program {
	case Welcome:
		return 3
	case Recycled:
		return 1
	}
	return 0
}

// programs: whoever agreed and nobody sold to went through the whole program,
// whoever sales gave back through the one for that, and no journey is still
// open.
func (c *court) programs() {
	journeys := c.journeys()
	through := map[string]int{}
	for _, f := range c.own[Enrollment] {
		switch j := journeys[c.kin(f.Lead)+"/"+f.Ref]; f.Status {
		case StatusActive:
			c.r.wrong(Unaccounted, "%s still waits in program %s at step %q", f.Lead, f.Ref, f.Type)
		case StatusCompleted:
			through[c.lead(f.Lead)+"/"+f.Ref]++
			if n, want := j.mails(), MailsOf(f.Ref); n != want {
				c.r.wrong(Omitted, "%s went through program %s with %d mails of %d", f.Lead, f.Ref, n, want)
			}
		}
	}
	for lead, why := range c.expected() {
		n, most := through[lead+"/"+why.program], 1
		if j := journeys[c.kin(lead)+"/"+why.program]; j != nil {
			most = j.travellers
		}
		if n < 1 || n > most {
			c.r.wrong(Omitted, "%s (%s) went through program %s %d times", lead, why.reason, why.program, n)
		}
	}
}

// journey is what all who ever were one lead got of a program.
type journey struct {
	travellers  int // leads that were in it
	interrupted bool
	touches     int
	steps       map[string]bool // Thanks counts as Last
}

// mails is how many mails of the program the journey had. A merged lead's journey
// goes on as its survivor's: of two, neither need have all. One that was
// interrupted by a merge may have planned one twice.
func (j *journey) mails() int {
	if j.travellers > 1 || j.interrupted {
		return len(j.steps)
	}
	return j.touches
}

// journeys gathers what was planned, by kin and program.
func (c *court) journeys() map[string]*journey {
	all := map[string]*journey{}
	of := func(f Fact) *journey {
		at := c.kin(f.Lead) + "/" + f.Ref
		if all[at] == nil {
			all[at] = &journey{steps: map[string]bool{}}
		}
		return all[at]
	}
	seen, frozen := map[string]bool{}, byLead(c.facts[Frozen])
	for _, f := range c.own[Enrollment] {
		of(f).interrupted = of(f).interrupted || len(frozen[f.Lead]) > 0
		if !seen[f.Lead+"/"+f.Ref] {
			seen[f.Lead+"/"+f.Ref] = true
			of(f).travellers++
		}
	}
	for _, t := range c.own[Touch] {
		j, step := of(t), t.Type
		if step == Thanks {
			step = Last
		}
		j.touches++
		j.steps[step] = true
	}
	return all
}

type expectation struct{ program, reason string }

// expected says who must have gone through which program. Whom sales or the own
// mailbox stopped while it was somebody else is not asked, nor who was given back
// and is somebody else: that one is nurtured as it was.
func (c *court) expected() map[string]expectation {
	want, stopped := map[string]expectation{}, map[string]bool{}
	merged := map[string]bool{}
	for _, e := range c.events {
		if e.Kind == Merge {
			merged[c.kin(e.Lead)] = true
		}
	}
	for _, f := range slices.Concat(c.facts[Withdrawn], c.facts[Suppressed], c.facts[Qualified]) {
		stopped[c.kin(f.Lead)] = true
	}
	for _, f := range c.facts[Activity] {
		if e := c.events[f.ID]; e != nil && e.Kind == Form && e.Consent && !stopped[c.kin(f.Lead)] {
			want[f.Lead] = expectation{Welcome, "agreed"}
		}
	}
	for _, f := range c.facts[Command] {
		if f.Type == string(Reject) && !merged[c.kin(f.Lead)] {
			want[f.Lead] = expectation{Recycled, "sales gave it back"}
		}
	}
	return want
}
