package torture

// Opened and Clicked are the types of what is judged.
const (
	Opened  = "email_opened"
	Clicked = "email_clicked"
)

// What of a mail can be hit: its picture, the link that no reader sees, and the
// links of the template, in their order.
const (
	Picture  = "picture"
	TrapLink = "trap"
)

// LinkNames are the ends of the addresses of the template's links, in their order.
func LinkNames() []string { return []string{"guide", "case"} }

// IsHit reports whether a type of activity is an open or a click.
func IsHit(kind string) bool { return kind == Opened || kind == Clicked }

// HitID names a hit. Nobody of the plan hits the same thing twice.
func HitID(touch, what string) string { return touch + "/" + what }

// HitHash is the hash of what a hit says: where the link leads.
func HitHash(kind, what string) string {
	if what == Picture || what == TrapLink {
		what = ""
	}
	return HashOf(kind, what)
}

// hits: every open and click that is in the log has one verdict, the one that
// whoever came deserves, and is in the history of the lead that got the mail.
func (c *court) hits() {
	first := map[string][]Fact{}
	for _, f := range c.facts[Judged] {
		if f.Ref != Again {
			first[f.ID] = append(first[f.ID], f)
		}
	}
	for _, f := range c.facts[Activity] {
		if !IsHit(f.Type) {
			continue
		}
		c.r.Hits++
		verdicts := first[f.ID]
		delete(first, f.ID)
		if len(verdicts) == 0 {
			c.r.wrong(Unaccounted, "hit %s has no verdict", f.ID)
			continue
		}
		for extra := 1; extra < len(verdicts); extra++ {
			c.r.wrong(DupEffect, "hit %s was judged %d times", f.ID, len(verdicts))
		}
		c.verdict(f)
	}
	for id := range first {
		c.r.wrong(DupEffect, "%s was judged and is in no log", id)
	}
}

// verdict compares the last verdict on a hit with who came.
func (c *court) verdict(hit Fact) {
	e, got := c.events[hit.ID], c.verdicts[hit.ID]
	if e == nil {
		return // apply says so
	}
	if want := c.lead(e.Lead); hit.Lead != want {
		c.r.wrong(DupEffect, "hit %s is in the history of %s, the mail went to %s", hit.ID, hit.Lead, want)
	}
	switch machine := got.Status == StatusMachine; {
	case e.Machine && !machine:
		c.r.wrong(DupEffect, "hit %s was a machine's and counts as a person's (%s)", hit.ID, got.Reason)
	case !e.Machine && machine:
		c.r.wrong(Lost, "hit %s was a person's and counts as a machine's (%s)", hit.ID, got.Reason)
	case machine:
		c.r.Machines++
	}
}

// counts reports whether an activity is to have an effect: a hit has one when a
// person did it.
func (c *court) counts(f Fact) bool {
	return !IsHit(f.Type) || c.verdicts[f.ID].Status == StatusHuman
}

// steps: a journey goes where a click leads only when a person clicked.
func (c *court) steps() {
	clicked := map[string]bool{}
	for _, f := range c.facts[Judged] {
		if f.Type == Clicked && f.Status == StatusHuman {
			clicked[c.kin(f.Lead)] = true
		}
	}
	for _, t := range c.facts[Touch] {
		if t.Type == Thanks && !clicked[c.kin(t.Lead)] {
			c.r.wrong(DupEffect, "touch %s thanks %s for a click, and no person clicked", t.ID, t.Lead)
		}
	}
}
