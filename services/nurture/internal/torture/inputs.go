package torture

import "slices"

// inputs: every event is applied once, refused, parked, or was never promised.
func (c *court) inputs() {
	c.apply()
	poison := map[string]int{}
	for _, f := range c.facts[Parked] {
		poison[f.ID]++
	}
	for _, id := range c.ids {
		e := c.events[id]
		c.r.Events++
		if e.status() == Acked {
			c.r.Acked++
		}
		switch e.Kind {
		case Form, Track, Inbound, Hit:
			c.input(e)
		case Bad:
			c.bad(e)
		case Poison:
			c.poison(e, poison[id])
		case Unsubscribe:
			c.said(e)
		case Accept, Reject, Merge, Unmerge: // commands and merges ask
		}
	}
}

// apply finds the facts of every event. One that nobody sent is an effect too
// many, unless it is a bounce: campaign tells ingest of those itself.
func (c *court) apply() {
	for i, f := range c.facts[Activity] {
		if e := c.events[f.ID]; e != nil {
			e.applied = append(e.applied, i)
			continue
		}
		if f.Type != bounced {
			c.r.wrong(DupEffect, "%s/%d: %s %q was never sent", f.Stream, f.Seq, f.Type, f.ID)
		}
	}
}

// bounced is the type of what is told of mails that were not taken.
const bounced = "email_bounced"

func (c *court) input(e *event) {
	n := len(e.applied)
	switch e.status() {
	case Acked:
		if n == 0 {
			c.r.wrong(Lost, "%s %s of %s was acknowledged (line %d) and is not in the log", e.Kind, e.ID, e.Who, e.ack)
		}
	case Refused:
		c.r.wrong(Turned, "%s %s of %s: %s", e.Kind, e.ID, e.Who, e.reason)
	case Unknown:
		if n == 0 {
			c.r.Void++
		}
	}
	for extra := 1; extra < n; extra++ {
		c.r.wrong(DupEffect, "%s %s of %s is in the log %d times", e.Kind, e.ID, e.Who, n)
	}
	for _, i := range e.applied {
		if f := c.facts[Activity][i]; f.Hash != e.Hash || f.Type != e.Type {
			c.r.wrong(Lost, "%s %s of %s was altered: %s %s is in the log, %s %s was sent", e.Kind, e.ID, e.Who, f.Type, f.Hash, e.Type, e.Hash)
		}
	}
}

func (c *court) bad(e *event) {
	c.explained[e.ID] = "bad" // it may wait for a person, as what it is
	switch {
	case len(e.applied) > 0:
		c.r.wrong(DupEffect, "%s of %s cannot be valid and is in the log", e.ID, e.Who)
	case e.status() == Acked:
		c.r.wrong(Unaccounted, "%s of %s cannot be valid and was acknowledged", e.ID, e.Who)
	case e.status() == Refused && e.reason == "":
		c.r.wrong(Unaccounted, "%s of %s was refused without a reason", e.ID, e.Who)
	case e.status() == Refused:
		c.r.Refused++
	default:
		c.r.Void++
	}
}

func (c *court) poison(e *event, parked int) {
	c.explained[e.ID] = "poison"
	switch {
	case len(e.applied) > 0:
		c.r.wrong(DupEffect, "%s of %s is poison and is in the log", e.ID, e.Who)
	case parked == 0 && e.status() == Acked:
		c.r.wrong(Unaccounted, "%s of %s is poison and was not parked", e.ID, e.Who)
	case parked == 0:
		c.r.Void++
	}
	for extra := 1; extra < parked; extra++ {
		c.r.wrong(DupEffect, "%s of %s is poison and was parked %d times", e.ID, e.Who, parked)
	}
}

// said: an unsubscribe that was acknowledged has its effect, once.
func (c *court) said(e *event) {
	lead := c.lead(e.Lead)
	n := max(c.told(Suppressed, lead), c.told(Withdrawn, lead))
	switch {
	case n > 1:
		c.r.wrong(DupEffect, "%s is suppressed %d times", e.Lead, n)
	case n == 0 && e.status() == Acked:
		c.r.wrong(Lost, "the unsubscribe of %s was acknowledged (line %d) and is not in the log", e.Lead, e.ack)
	case e.status() == Refused:
		c.r.wrong(Turned, "unsubscribe of %s: %s", e.Lead, e.reason)
	case n == 0:
		c.r.Void++
	}
}

// told counts the facts of a kind about a lead.
func (c *court) told(kind FactKind, lead string) int {
	n := 0
	for _, f := range c.facts[kind] {
		if f.Lead == lead {
			n++
		}
	}
	return n
}

// order: what was acknowledged before something else of its person was sent
// stands before it in the log. What came by way of NATS, as hits do, has no place
// in it: its acknowledgement says that the event is safe, not that it was read.
func (c *court) order() {
	trails := map[string][]*event{}
	for _, f := range c.facts[Activity] {
		if e := c.events[f.ID]; e != nil && e.Kind != Inbound && e.Kind != Hit {
			lead := c.lead(f.Lead)
			trails[lead] = append(trails[lead], e)
		}
	}
	for lead, trail := range trails {
		earliest := 0 // the earliest acknowledgement among those that follow
		for _, e := range slices.Backward(trail) {
			if earliest > 0 && earliest < e.first {
				c.r.wrong(Inversion, "%s: %s was sent (line %d) after a later one was acknowledged (line %d)", lead, e.ID, e.first, earliest)
			}
			if e.ack > 0 && (earliest == 0 || e.ack < earliest) {
				earliest = e.ack
			}
		}
	}
}

// people: all events of a person are on one lead. Hits are not asked: a survivor
// may be written to at the address of the other lead.
func (c *court) people() {
	leads := map[string]string{}
	for _, f := range c.facts[Activity] {
		e := c.events[f.ID]
		if e == nil || e.Kind == Hit {
			continue
		}
		lead := c.lead(f.Lead)
		if first, ok := leads[e.Who]; ok && first != lead {
			c.r.wrong(DupEffect, "%s is two leads: %s and %s", e.Who, first, lead)
			continue
		}
		leads[e.Who] = lead
	}
}
