package store

import (
	"maps"
	"slices"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// group is the questions that are answered together.
type group struct {
	questions []*question
	// n is how many asks they have, keys are theirs, each once.
	n    int
	keys []identity.Key
	view identity.View
	// held is what was read about leads.
	held map[string]identity.Held
	// lone: no ask has more than one key, so none depends on what another key says.
	lone bool
	// left are claims that are left to be stored with first records.
	left []write
	// off are questions that were put off: they need to know what became of those.
	off []*question
}

func newGroup(questions []*question) *group {
	g := &group{held: map[string]identity.Held{}, view: identity.View{Claims: map[identity.Key]identity.Entry{}}}
	for _, q := range questions {
		q.answers = make([]identity.Answer, len(q.asks))
	}
	g.gather(questions)
	return g
}

// gather makes these questions the group.
func (g *group) gather(questions []*question) {
	g.questions, g.n, g.lone, g.keys = questions, 0, true, nil
	seen := map[identity.Key]struct{}{}
	for _, q := range questions {
		g.n += len(q.asks)
		g.lone = g.lone && !slices.ContainsFunc(q.asks, identity.Ask.Several)
		for _, k := range q.keys {
			if _, dup := seen[k]; !dup {
				seen[k] = struct{}{}
				g.keys = append(g.keys, k)
			}
		}
	}
}

// keysOf lists the keys of all asks, each once.
func keysOf(asks []identity.Ask) []identity.Key {
	if len(asks) == 1 {
		return slices.Collect(asks[0].Keys())
	}
	seen := make(map[identity.Key]struct{}, 2*len(asks))
	keys := make([]identity.Key, 0, 2*len(asks))
	for _, a := range asks {
		for k := range a.Keys() {
			if _, dup := seen[k]; !dup {
				seen[k] = struct{}{}
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// decide answers every ask in order and lists what must be claimed for it.
// When leads are missing from the view it says which, and nothing counts.
func (g *group) decide(newLead func() string) (writes []write, missing []string) {
	g.view.Held, g.view.Missing = maps.Clone(g.held), nil
	for _, q := range g.questions {
		writes = q.decide(&g.view, newLead, writes)
	}
	if len(g.view.Missing) == 0 {
		return writes, nil
	}
	g.forget(writes)
	slices.Sort(g.view.Missing)
	return nil, slices.Compact(g.view.Missing)
}

// decide answers the asks of a question and adds what must be claimed.
func (q *question) decide(v *identity.View, newLead func() string, writes []write) []write {
	q.leaves = false
	for i, a := range q.asks {
		ans := identity.Decide(a, v, newLead)
		v.Assume(ans)
		for _, k := range ans.Claim {
			writes = append(writes, write{key: k, to: ans.Lead, origin: ans.Origin, of: q})
			if k.Kind == identity.External {
				q.claimed(i)
			}
		}
		ans.Replayed = ans.Replayed && !q.ours[i]
		q.answers[i] = ans
	}
	return writes
}

func (q *question) claimed(i int) {
	if q.ours == nil {
		q.ours = map[int]bool{}
	}
	q.ours[i] = true
}

// mayLeave reports whether all that is claimed for a question is for leads that
// begin with it, and nothing changes hands.
func (q *question) mayLeave() bool {
	if !q.records {
		return false
	}
	claims := map[string]int{}
	for _, ans := range q.answers {
		if ans.New {
			claims[ans.Lead] = 0
		}
		n, begun := claims[ans.Lead]
		if len(ans.Merged)+len(ans.Repoint) > 0 || len(ans.Claim) > 0 && !begun {
			return false
		}
		if begun {
			claims[ans.Lead] = n + len(ans.Claim)
		}
	}
	for _, n := range claims {
		if n > maxPledge {
			return false
		}
	}
	return len(claims) > 0
}

// putOff decides which questions leave their claims to first records, and takes
// out of the group those that need one of these claims: what was decided does
// then not count. It reports whether there were any.
func (g *group) putOff(writes []write) bool {
	by := make(map[identity.Key]*question, len(writes))
	for _, q := range g.questions {
		q.leaves = q.mayLeave()
	}
	for _, w := range writes {
		if w.of.leaves {
			by[w.key] = w.of
		}
	}
	var stay []*question
	before := len(g.off)
	for _, q := range g.questions {
		if slices.ContainsFunc(q.keys, func(k identity.Key) bool { return by[k] != nil && by[k] != q }) {
			g.off = append(g.off, q)
		} else {
			stay = append(stay, q)
		}
	}
	if len(g.off) == before {
		return false
	}
	g.forget(writes)
	g.gather(stay)
	return true
}

// begun lists the leads that the answers begin, and whose claims are written now.
func (g *group) begun() []string {
	var leads []string
	for _, q := range g.questions {
		for _, a := range q.answers {
			if a.New && !q.leaves {
				leads = append(leads, a.Lead)
			}
		}
	}
	return leads
}

// forget drops the assumption that these writes were stored: what was is in the
// book by now. Submissions claimed by somebody else are no longer ours.
func (g *group) forget(writes []write) {
	lost := make(map[identity.Key]struct{}, len(writes))
	for _, w := range writes {
		delete(g.view.Claims, w.key)
		if w.stored == 0 {
			lost[w.key] = struct{}{}
		}
	}
	for _, q := range g.questions {
		for i := range q.ours {
			if _, ok := lost[q.asks[i].External]; ok {
				delete(q.ours, i)
			}
		}
	}
}

// number fills in the sequences that claims of this group got, for answers that
// give them to another lead at once.
func (g *group) number(writes []write) {
	var stored map[identity.Key]uint64
	for _, q := range g.questions {
		for i := range q.answers {
			for j, m := range q.answers[i].Repoint {
				if m.Seq > 0 {
					continue
				}
				if stored == nil {
					stored = make(map[identity.Key]uint64, len(writes))
					for _, w := range writes {
						stored[w.key] = w.stored
					}
				}
				q.answers[i].Repoint[j].Seq = stored[m.Key]
			}
		}
	}
}
