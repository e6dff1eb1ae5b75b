package torture

import "slices"

// The programs of the run: what a lead gets that nobody qualifies, and what it
// gets when sales gave it back.
const (
	Welcome  = "welcome"
	Recycled = "recycled"
)

// MailsOf is how many mails a program has when nobody clicks.
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
	enrolled := byLead(c.facts[Enrollment])
	touches := map[string]int{}
	for _, t := range c.facts[Touch] {
		touches[t.Lead+"/"+t.Ref]++
	}
	for _, f := range c.facts[Enrollment] {
		switch f.Status {
		case StatusActive:
			c.r.wrong(Unaccounted, "%s still waits in program %s at step %q", f.Lead, f.Ref, f.Type)
		case StatusCompleted:
			if n, want := touches[f.Lead+"/"+f.Ref], MailsOf(f.Ref); n != want {
				c.r.wrong(Omitted, "%s went through program %s with %d touches of %d", f.Lead, f.Ref, n, want)
			}
		}
	}
	for lead, why := range c.expected() {
		n := 0
		for _, f := range enrolled[lead] {
			if f.Ref == why.program && f.Status == StatusCompleted {
				n++
			}
		}
		if n != 1 {
			c.r.wrong(Omitted, "%s (%s) went through program %s %d times", lead, why.reason, why.program, n)
		}
	}
}

type expectation struct{ program, reason string }

// expected says who must have gone through which program.
func (c *court) expected() map[string]expectation {
	want := map[string]expectation{}
	for _, f := range c.facts[Activity] {
		if e := c.events[f.ID]; e != nil && e.Kind == Form && e.Consent {
			want[f.Lead] = expectation{Welcome, "agreed"}
		}
	}
	for _, f := range slices.Concat(c.facts[Withdrawn], c.facts[Suppressed]) {
		delete(want, f.Lead)
	}
	for _, f := range c.facts[Qualified] {
		delete(want, f.Lead)
	}
	for _, f := range c.facts[Command] {
		if f.Type == string(Reject) {
			want[f.Lead] = expectation{Recycled, "sales gave it back"}
		}
	}
	return want
}
