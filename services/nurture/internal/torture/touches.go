package torture

import (
	"slices"
	"time"
)

// slack is how far apart a fault and the message it cut off may be stored.
const slack = 2 * time.Second

// touches: one touch, at most one mail; what is said to be sent arrived; what
// is ambiguous has a reason, is parked, and stays unsent.
func (c *court) touches() {
	claims, outcomes := byID(c.facts[Claim]), byID(c.facts[Outcome])
	known := map[string]bool{}
	for _, t := range c.facts[Touch] {
		c.r.Touches++
		known[t.ID] = true
		mails := c.mails[t.ID]
		for extra := 1; extra < len(mails); extra++ {
			c.r.wrong(DoubleSend, "touch %s went out %d times (lines %d and %d)", t.ID, len(mails), mails[0].N, mails[extra].N)
		}
		if len(mails) > 0 && len(claims[t.ID]) == 0 {
			c.r.wrong(DupEffect, "touch %s went out without a claim", t.ID)
		}
		c.touch(t, claims[t.ID], outcomes[t.ID])
	}
	for id, mails := range c.mails {
		if !known[id] {
			c.r.wrong(DupEffect, "mail %q to %s was planned by nobody", id, mails[0].Who)
		}
	}
}

func byID(facts []Fact) map[string][]Fact {
	m := map[string][]Fact{}
	for _, f := range facts {
		m[f.ID] = append(m[f.ID], f)
	}
	return m
}

func (c *court) touch(t Fact, claims, outcomes []Fact) {
	mails := c.mails[t.ID]
	switch t.Status {
	case StatusSent:
		if len(mails) == 0 {
			c.r.wrong(Omitted, "touch %s is said to be sent and never arrived", t.ID)
		}
	case StatusAmbiguous:
		c.r.Ambiguous++
		c.ambiguous(t, claims, outcomes)
	case StatusSkipped, StatusFailed:
		if len(mails) > 0 {
			c.r.wrong(DupEffect, "touch %s is %s (%s) and went out", t.ID, t.Status, t.Reason)
		}
	default:
		c.r.wrong(Unaccounted, "touch %s of %s is still %s (%s)", t.ID, t.Lead, t.Status, t.Reason)
	}
}

// ambiguous: the touch is parked once, a fault explains it, and no mail was
// begun after it was given up.
func (c *court) ambiguous(t Fact, claims, outcomes []Fact) {
	c.explained[t.ID] = "ambiguous"
	parked := 0
	for _, f := range c.facts[Parked] {
		if f.ID == t.ID {
			parked++
		}
	}
	if parked == 0 {
		c.r.wrong(Unaccounted, "touch %s is ambiguous and was not parked", t.ID)
	}
	given, ok := givenUp(outcomes)
	if !ok || len(claims) == 0 {
		c.r.wrong(Unexplained, "touch %s is ambiguous without a claim and an outcome", t.ID)
		return
	}
	if !c.faultBetween(t.ID, claims[0].At.Add(-slack), given) {
		c.r.wrong(Unexplained, "touch %s is ambiguous (%s) and no fault came between %s and %s", t.ID, t.Reason,
			claims[0].At.Format(time.TimeOnly), given.Format(time.TimeOnly))
	}
	for _, m := range c.mails[t.ID] {
		if m.Began.After(given) {
			c.r.wrong(DoubleSend, "touch %s was given up as ambiguous at %s and sent again at %s", t.ID,
				given.Format(time.TimeOnly), m.Began.Format(time.TimeOnly))
		}
	}
}

// givenUp is when the first outcome said that nobody knows.
func givenUp(outcomes []Fact) (time.Time, bool) {
	for _, o := range outcomes {
		if o.Status == StatusAmbiguous {
			return o.At, true
		}
	}
	return time.Time{}, false
}

// faultBetween looks for a fault that can leave a touch ambiguous: the end of
// a sender, of the log it tells the outcome to, or of this very connection.
func (c *court) faultBetween(touch string, from, to time.Time) bool {
	for _, f := range c.faults {
		mine := f.ID == touch || f.Reason == "kill" && (f.Who == "campaign" || f.Who == "nats")
		if mine && f.At.After(from) && !f.At.After(to) {
			return true
		}
	}
	return false
}

// unwanted: nobody gets a mail whose claim was stored after the no, and nobody
// who never said yes. A mail that was on its way is counted.
func (c *court) unwanted() {
	no := c.noes()
	acked, yes := map[string]int{}, map[string]bool{}
	for _, e := range c.events {
		if e.Kind == Unsubscribe && e.ack > 0 {
			acked[e.Lead] = e.ack
		}
		yes[e.Who] = yes[e.Who] || e.Consent
	}
	claims := byID(c.facts[Claim])
	for _, t := range c.own[Touch] {
		for _, m := range c.mails[t.ID] {
			if !yes[m.Who] {
				c.r.wrong(LateSend, "touch %s went to %s, who never agreed", t.ID, m.Who)
			}
			at, suppressed := no[t.Lead]
			switch {
			case suppressed && len(claims[t.ID]) > 0 && lastBefore(claims[t.ID], m.At).After(at):
				c.r.wrong(LateSend, "touch %s was claimed after %s had unsubscribed", t.ID, t.Lead)
			case suppressed && acked[t.Lead] > 0 && m.N > acked[t.Lead]:
				c.r.InFlight++
			}
		}
	}
}

// noes are when each lead said no first, or was found to be nobody. What a
// survivor takes over with a merge counts from there on, unless it gave the other
// lead back.
func (c *court) noes() map[string]time.Time {
	no := map[string]time.Time{}
	tell := func(lead string, at time.Time) {
		if was, twice := no[lead]; !twice || at.Before(was) {
			no[lead] = at
		}
	}
	merges := map[uint64]bool{}
	for _, f := range c.facts[Merged] {
		merges[f.Seq] = true
	}
	for _, f := range slices.Concat(c.own[Withdrawn], c.own[Suppressed]) {
		if apart := c.partings(c.kin(f.Lead)) > 0; !apart || !merges[f.Seq] {
			tell(f.Lead, f.At)
		}
		if f.Host != "" && c.partings(c.kin(f.Lead)) == 0 {
			tell(f.Host, f.At)
		}
	}
	for _, b := range c.bonds {
		if at, known := no[b.from]; known && c.partings(c.kin(b.into)) == 0 && !c.agreedAfter(b.pair, at) {
			tell(b.into, later(at, b.at))
		}
		if at, known := no[b.into]; known && c.agreedAfter(b.pair, at) {
			delete(no, b.into) // of two answers of one person the later one counts
		}
	}
	return no
}

// agreedAfter reports whether either of two leads said yes after a moment.
func (c *court) agreedAfter(p pair, at time.Time) bool {
	return slices.ContainsFunc(c.own[Activity], func(f Fact) bool {
		e := c.events[f.ID]
		return e != nil && e.Consent && (f.Lead == p.from || f.Lead == p.into) && f.At.After(at)
	})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// lastBefore is when the latest claim before a moment was stored.
func lastBefore(claims []Fact, at time.Time) time.Time {
	last := claims[0].At
	for _, f := range claims {
		if f.At.Before(at) {
			last = f.At
		}
	}
	return last
}
