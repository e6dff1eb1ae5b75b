package torture

// handoffs: every qualified lead is with sales, as itself or as one that it was
// merged with, and what sales was told is delivered or parked, never both and
// never neither.
func (c *court) handoffs() {
	with, deliveries := map[string]bool{}, map[string]bool{}
	for _, h := range c.facts[Handoff] {
		with[c.kin(h.Lead)] = true
	}
	for _, d := range c.facts[Delivery] {
		deliveries[c.kin(d.Lead)] = true
	}
	for _, q := range c.facts[Qualified] {
		if !with[c.kin(q.Lead)] {
			c.r.wrong(Unaccounted, "%s was qualified and sales does not know", q.Lead)
		}
	}
	parked := map[string]int{}
	for _, f := range c.facts[Parked] {
		parked[f.ID]++
	}
	for _, h := range c.facts[Handoff] {
		c.r.Handoffs++
		if !deliveries[c.kin(h.Lead)] {
			c.r.wrong(Unaccounted, "handoff of %s is %s (%s) and nothing was ever delivered", h.Lead, h.Status, h.Reason)
		}
	}
	c.owners()
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

// owners: whom scoring leaves to sales sales has, and the other way round.
func (c *court) owners() {
	stays := map[string]string{}
	for _, h := range c.own[Handoff] {
		stays[h.Lead] = h.Status // the last one is the current one
	}
	for _, s := range c.facts[Score] {
		stay := stays[s.Lead]
		if has := stay == StageAssigned || stay == StageAccepted; (has || s.Status == StageAssigned || s.Status == StageAccepted) && stay != s.Status {
			c.r.wrong(Unaccounted, "%s is %s to scoring and %q to sales", s.Lead, s.Status, stay)
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
