package torture

import "time"

// StageMerged is the stage of a lead that turned out to be another one.
const StageMerged = "merged"

// bond is one merge of two leads. It has an end when they were separated.
type bond struct {
	pair
	at, end time.Time
}

// holds reports whether the two were one at a moment.
func (b bond) holds(at time.Time) bool { return at.After(b.at) && (b.end.IsZero() || at.Before(b.end)) }

// pair is a lead and the one that it turned out to be.
type pair struct{ from, into string }

// kinship is who is who: at the end, and ever.
type kinship struct {
	into  map[string]string // merged lead: the one it became
	roots map[string]string
	bonds []bond
}

// tie takes in what the log says of two leads.
func (k *kinship) tie(f Fact) {
	switch f.Kind {
	case Merged:
		k.into[f.Ref] = f.Lead
		if from, into := k.kin(f.Ref), k.kin(f.Lead); from != into {
			k.roots[from] = into
		}
		k.bonds = append(k.bonds, bond{pair: pair{from: f.Ref, into: f.Lead}, at: f.At})
	case Unmerged:
		delete(k.into, f.Ref)
		for i, b := range k.bonds {
			if b.pair == (pair{from: f.Ref, into: f.Lead}) && b.end.IsZero() {
				k.bonds[i].end = f.At
			}
		}
	default: // says nothing of who is who
	}
}

// lead is who a lead is at the end.
func (k *kinship) lead(id string) string {
	for range len(k.into) {
		next, ok := k.into[id]
		if !ok {
			break
		}
		id = next
	}
	return id
}

// kin names all leads that ever were one with a lead.
func (k *kinship) kin(id string) string {
	for root, ok := k.roots[id]; ok; root, ok = k.roots[id] {
		id = root
	}
	return id
}

// partings counts how often leads of a kin were separated.
func (k *kinship) partings(kin string) int {
	n := 0
	for _, b := range k.bonds {
		if !b.end.IsZero() && k.kin(b.into) == kin {
			n++
		}
	}
	return n
}

// merges: who was said to be one person is one, once, and who was said not to be
// is not; nobody else is, but for those who showed it themselves.
func (c *court) merges() {
	merged, unmerged := pairs(c.facts[Merged]), pairs(c.facts[Unmerged])
	for _, id := range c.ids {
		switch e := c.events[id]; e.Kind {
		case Merge:
			c.r.Merges += c.happened(e, merged)
		case Unmerge:
			c.r.Unmerges += c.happened(e, unmerged)
		default: // inputs and commands ask
		}
	}
	for p := range unmerged {
		c.r.wrong(DupEffect, "%s was separated from %s and nobody said so", p.from, p.into)
	}
	c.joins(merged)
	c.cutShort()
	c.recorded()
}

func pairs(facts []Fact) map[pair]int {
	n := map[pair]int{}
	for _, f := range facts {
		n[pair{from: f.Ref, into: f.Lead}]++
	}
	return n
}

// happened judges one thing that was said about two leads, and takes it from what
// was done. It answers how often it was.
func (c *court) happened(e *event, done map[pair]int) int {
	p := pair{from: e.From, into: e.Lead}
	n := done[p]
	delete(done, p)
	switch {
	case n > 1:
		c.r.wrong(DupEffect, "%s of %s and %s happened %d times", e.Kind, e.From, e.Lead, n)
	case n == 0 && e.status() == Acked:
		c.r.wrong(Lost, "the %s of %s and %s was acknowledged (line %d) and is not in the log", e.Kind, e.From, e.Lead, e.ack)
	case e.status() == Refused:
		c.r.wrong(Turned, "%s of %s and %s: %s", e.Kind, e.From, e.Lead, e.reason)
	case n == 0:
		c.r.Void++
	}
	return n
}

// joins: leads that nobody merged are one because the same person was both.
func (c *court) joins(merged map[pair]int) {
	who := map[string]map[string]bool{}
	for _, f := range c.own[Activity] {
		if e := c.events[f.ID]; e != nil && e.Kind != Hit {
			if who[f.Lead] == nil {
				who[f.Lead] = map[string]bool{}
			}
			who[f.Lead][e.Who] = true
		}
	}
	for p, n := range merged {
		c.r.Joins++
		if n > 1 {
			c.r.wrong(DupEffect, "%s joined %s %d times", p.from, p.into, n)
		}
		for one := range who[p.from] {
			if !who[p.into][one] {
				c.r.wrong(DupEffect, "%s (%s) was merged into %s, who is somebody else", p.from, one, p.into)
			}
		}
	}
}

// cutShort: both sides of every merge, and of every separation, are in the log,
// and a lead that is merged is closed to scoring.
func (c *court) cutShort() {
	open := map[string]int{}
	for _, f := range c.facts[Merged] {
		open[f.Ref]++
	}
	for _, f := range c.facts[Unmerged] {
		open[f.Ref]--
	}
	for _, f := range c.facts[Frozen] {
		open[f.Lead]--
	}
	for _, f := range c.facts[Restored] {
		open[f.Lead]++
	}
	for lead, n := range open {
		if n != 0 {
			c.r.wrong(Unaccounted, "a merge or separation of %s was cut short and never completed (%+d)", lead, n)
		}
	}
	for _, f := range c.facts[Awaits] {
		c.r.wrong(Unaccounted, "%s still waits in %s for what %s hands over", f.Lead, f.Stream, f.Ref)
	}
	scores := byLead(c.facts[Score])
	for lead, into := range c.into {
		if s := scores[lead]; len(s) > 0 && s[len(s)-1].Status != StageMerged {
			c.r.wrong(Unaccounted, "%s was merged into %s and is still %s", lead, into, s[len(s)-1].Status)
		}
	}
}

// recorded: nothing is recorded about a lead while it is merged but in the
// records of its survivor, and each lead has at the end all that was told of it.
func (c *court) recorded() {
	frozen := map[string]bool{}
	did := map[string]int{}
	for _, f := range c.log {
		switch f.Kind {
		case Frozen:
			frozen[f.Lead] = true
		case Restored:
			delete(frozen, f.Lead)
		case Activity:
			did[c.lead(f.Lead)]++
			if f.Host == "" && frozen[f.Lead] {
				c.r.wrong(DupEffect, "%s/%d: %s was recorded about %s, who is merged", f.Stream, f.Seq, f.ID, f.Lead)
			}
		default: // no activity and no tie
		}
	}
	for _, f := range c.facts[Known] {
		switch n := int(f.Points); {
		case n < did[f.Lead]:
			c.r.wrong(Lost, "%s has %d activities and did %d", f.Lead, n, did[f.Lead])
		case n > did[f.Lead]:
			c.r.wrong(DupEffect, "%s has %d activities and did %d", f.Lead, n, did[f.Lead])
		}
	}
}

// together: nobody gets a mail as a lead that is merged away, and nobody gets the
// same mail of a program once more as the survivor. Mails that were claimed
// before the merge was known go out: nobody calls them back.
func (c *court) together() {
	claims := byID(c.facts[Claim])
	sent := map[string][]mailing{} // by lead
	for _, t := range c.own[Touch] {
		if len(c.mails[t.ID]) > 0 && len(claims[t.ID]) > 0 {
			sent[t.Lead] = append(sent[t.Lead], mailing{t, lastBefore(claims[t.ID], c.mails[t.ID][0].At)})
		}
	}
	for _, b := range c.bonds {
		for _, m := range sent[b.from] {
			if b.holds(m.claimed) {
				c.r.wrong(DupEffect, "touch %s was claimed after its lead was merged into %s, and went out", m.touch.ID, b.into)
			}
		}
		for _, m := range sent[b.into] {
			if twin, twice := same(m, sent[b.from]); twice && b.holds(m.claimed) {
				c.r.wrong(DoubleSend, "touch %s went out after the merge, and its twin %s had gone out to the same person", m.touch.ID, twin.touch.ID)
			}
		}
	}
}

// mailing is a touch that went out.
type mailing struct {
	touch   Fact
	claimed time.Time
}

// same finds the same step of a program among mails that were claimed before.
func same(m mailing, all []mailing) (mailing, bool) {
	for _, other := range all {
		if other.touch.Ref == Welcome && m.touch.Ref == Welcome && other.touch.Type == m.touch.Type && other.claimed.Before(m.claimed) {
			return other, true
		}
	}
	return mailing{}, false
}
