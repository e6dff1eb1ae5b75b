package torture

import (
	"strings"
)

// Check judges the evidence. It asks every question, and one answer never
// hides another.
func Check(ev *Evidence) *Report {
	c := newCourt(ev)
	c.inputs()
	c.hits()
	c.merges()
	c.order()
	c.people()
	c.scores()
	c.touches()
	c.unwanted()
	c.together()
	c.programs()
	c.steps()
	c.handoffs()
	c.commands()
	c.parked()
	c.reads()
	c.processes()
	return c.r
}

// event is all that the journal says about one event.
type event struct {
	Line
	// first is the line of its first sending, ack that of its first
	// acknowledgement; 0 when there is none.
	first, ack int
	refused    bool
	reason     string
	// applied are the places of its facts.
	applied []int
}

func (e *event) status() Status {
	switch {
	case e.ack > 0:
		return Acked
	case e.refused:
		return Refused
	default:
		return Unknown
	}
}

// court holds the evidence by what it is about.
type court struct {
	ev     *Evidence
	r      *Report
	events map[string]*event
	ids    []string // of events, in order of their first sending
	facts  map[FactKind][]Fact
	// own are the facts about the leads as such, and not about the persons that they
	// turned out to be; log are all of them in order.
	own      map[FactKind][]Fact
	log      []Fact
	verdicts map[string]Fact // last ones, by hit
	kinship
	mails  map[string][]Line
	hooks  map[string][]Line
	faults []Line
	// explained are ids that may be parked, each once.
	explained map[string]string
}

func newCourt(ev *Evidence) *court {
	c := &court{
		ev: ev, r: &Report{Seed: ev.Seed, Faults: map[string]int{}}, events: map[string]*event{},
		facts: map[FactKind][]Fact{}, own: map[FactKind][]Fact{}, log: ev.Facts, verdicts: map[string]Fact{},
		kinship: kinship{into: map[string]string{}, roots: map[string]string{}}, mails: map[string][]Line{}, hooks: map[string][]Line{},
		explained: map[string]string{},
	}
	for _, l := range ev.Journal {
		c.take(l)
	}
	for _, f := range ev.Facts {
		c.tie(f)
	}
	for _, f := range ev.Facts {
		if copied(f) {
			continue
		}
		c.own[f.Kind] = append(c.own[f.Kind], f)
		if !ofOne(f.Kind) {
			f.Lead = c.lead(f.Lead)
		}
		c.facts[f.Kind] = append(c.facts[f.Kind], f)
		if f.Kind == Judged {
			c.verdicts[f.ID] = f
		}
	}
	return c
}

// copied reports whether a touch is another lead's: whoever goes on with the
// journey of a merged lead takes its latest touch along.
func copied(f Fact) bool {
	lead, known := LeadOf(f.ID)
	return f.Kind == Touch && known && lead != f.Lead
}

// LeadOf is the lead of a touch: its id begins with it.
func LeadOf(touch string) (lead string, known bool) {
	i := strings.LastIndex(touch, "-t")
	return touch[:max(0, i)], i > 0
}

// ofOne says that a fact is about a lead as such, and not about the person that
// it turned out to be.
func ofOne(k FactKind) bool {
	switch k {
	case Score, Digest, Read, Awaits, Merged, Unmerged, Frozen, Restored, Known:
		return true
	default:
		return false
	}
}

func (c *court) take(l Line) {
	switch l.Op {
	case OpSend:
		if c.events[l.ID] == nil {
			c.events[l.ID] = &event{Line: l, first: l.N}
			c.ids = append(c.ids, l.ID)
		}
	case OpAnswer:
		c.answer(l)
	case OpMail:
		c.mails[l.ID] = append(c.mails[l.ID], l)
		c.r.Mails++
	case OpHook:
		c.hooks[l.ID] = append(c.hooks[l.ID], l)
	case OpFault:
		c.faults = append(c.faults, l)
		c.r.Faults[l.Type]++
		if l.Reason == "kill" {
			c.r.Kills++
		}
	}
}

func (c *court) answer(l Line) {
	e := c.events[l.ID]
	switch {
	case e == nil:
		c.r.wrong(Unaccounted, "line %d answers %s, which was never sent", l.N, l.ID)
	case l.Status == Acked && e.ack == 0:
		e.ack = l.N
	case l.Status == Refused:
		e.refused, e.reason = true, l.Reason
	}
}

// processes: nothing may panic, and all must have come to rest.
func (c *court) processes() {
	for _, name := range c.ev.Crashes {
		c.r.wrong(Crash, "%s", name)
	}
	if !c.ev.Quiet {
		c.r.wrong(Unaccounted, "the work did not end in time: %s", strings.Join(c.ev.Waiting, "; "))
	}
	for _, v := range c.ev.Verified {
		for _, m := range v.Mismatches {
			c.r.wrong(Mismatch, "%s: %s", v.Service, m)
		}
		if v.Records == 0 {
			c.r.wrong(Mismatch, "%s: there was nothing to verify", v.Service)
		}
	}
}

// reads: what the services answer is what the log says, with a warm cache, with
// a cold one, and after one that was lost.
func (c *court) reads() {
	type key struct{ stream, lead string }
	want := map[key]string{}
	for _, f := range c.facts[Digest] {
		want[key{f.Stream, f.Lead}] = f.Hash
	}
	for _, f := range c.facts[Read] {
		if w := want[key{f.Stream, f.Lead}]; w != f.Hash {
			c.r.wrong(Stale, "%s of %s (%s): the service says %q, the log %q", f.Stream, f.Lead, f.Ref, f.Hash, w)
		}
	}
}
