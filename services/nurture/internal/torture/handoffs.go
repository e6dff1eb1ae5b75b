package torture

// handoffs: every qualified lead is with sales, and what sales was told is
// delivered or parked, never both and never neither.
func (c *court) handoffs() {
	with := byLead(c.facts[Handoff])
	for _, q := range c.facts[Qualified] {
		if len(with[q.Lead]) == 0 {
			c.r.wrong(Unaccounted, "%s was qualified and sales does not know", q.Lead)
		}
	}
	parked := map[string]int{}
	for _, f := range c.facts[Parked] {
		parked[f.ID]++
	}
	deliveries := byLead(c.facts[Delivery])
	for _, h := range c.facts[Handoff] {
		c.r.Handoffs++
		if len(deliveries[h.Lead]) == 0 {
			c.r.wrong(Unaccounted, "handoff of %s is %s (%s) and nothing was ever delivered", h.Lead, h.Status, h.Reason)
		}
	}
	known := map[string]bool{}
	for _, d := range c.facts[Delivery] {
		known[d.ID] = true
		c.delivery(d, parked[d.ID])
	}
	for id := range c.hooks {
		if !known[id] {
			c.r.wrong(DupEffect, "webhook %q was intended by nobody", id)
		}
	}
}

func (c *court) delivery(d Fact, parked int) {
	taken, turned := 0, 0
	for _, h := range c.hooks[d.ID] {
		if h.Code >= 200 && h.Code < 300 {
			taken++
		} else {
			turned++
		}
	}
	switch d.Status {
	case StatusDelivered:
		c.r.Delivered++
		if taken == 0 {
			c.r.wrong(Lost, "delivery %s is said to be delivered and never arrived", d.ID)
		}
		if parked > 0 {
			c.r.wrong(DupEffect, "delivery %s is delivered and parked", d.ID)
		}
	case StatusParked:
		c.r.ParkedHandoffs++
		c.explained[d.ID] = "handoff"
		switch {
		case parked == 0:
			c.r.wrong(Unaccounted, "delivery %s was given up and not parked", d.ID)
		case taken > 0:
			c.r.wrong(DupEffect, "delivery %s arrived and was given up", d.ID)
		case turned == 0:
			c.r.wrong(Unexplained, "delivery %s was given up without an attempt that arrived (%s)", d.ID, d.Reason)
		}
	default:
		c.r.wrong(Unaccounted, "delivery %s of %s is still %s", d.ID, d.Lead, d.Status)
	}
}

// commands: what sales answered happened once.
func (c *court) commands() {
	done := byID(c.facts[Command])
	for _, id := range c.ids {
		e := c.events[id]
		if e.Kind != Accept && e.Kind != Reject {
			continue
		}
		n := len(done[id])
		switch {
		case n > 1:
			c.r.wrong(DupEffect, "%s %s happened %d times", e.Kind, id, n)
		case n == 0 && e.status() == Acked:
			c.r.wrong(Lost, "%s %s was acknowledged (line %d) and is not in the log", e.Kind, id, e.ack)
		case e.status() == Refused && n == 0:
			c.r.wrong(Turned, "%s %s: %s", e.Kind, id, e.reason)
		case n == 0:
			c.r.Void++
		}
		delete(done, id)
	}
	for id := range done {
		c.r.wrong(DupEffect, "answer %q of sales was given by nobody", id)
	}
}

// parked: every entry for a person has one of the three reasons for which
// something may be parked here.
func (c *court) parked() {
	for _, f := range c.facts[Parked] {
		c.r.Parked++
		if c.explained[f.ID] == "" {
			c.r.wrong(Unaccounted, "%s parked %s/%d (%s) without need: %s", f.Ref, f.Type, f.Seq, f.Reason, f.ID)
		}
	}
}
