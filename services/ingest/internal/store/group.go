package store

import (
	"maps"
	"slices"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// group is the questions that are answered together.
type group struct {
	asks    []identity.Ask
	answers []identity.Answer
	// keys of all asks, each once.
	keys []identity.Key
	view identity.View
	// held is what was read about leads.
	held map[string]identity.Held
	// lone: no ask has more than one key, so none depends on what another key says.
	lone bool
	// ours are submissions that this group claimed: not replays.
	ours map[int]bool
}

func newGroup(questions []*question) *group {
	g := &group{ours: map[int]bool{}}
	for _, q := range questions {
		g.asks = append(g.asks, q.asks...)
	}
	g.lone = !slices.ContainsFunc(g.asks, identity.Ask.Several)
	g.answers = make([]identity.Answer, len(g.asks))
	g.keys = keysOf(g.asks)
	g.view = identity.View{Claims: make(map[identity.Key]identity.Entry, len(g.keys))}
	g.held = map[string]identity.Held{}
	return g
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
	for i, a := range g.asks {
		ans := identity.Decide(a, &g.view, newLead)
		g.view.Assume(ans)
		for _, k := range ans.Claim {
			writes = append(writes, write{key: k, to: ans.Lead, origin: ans.Origin})
			if k.Kind == identity.External {
				g.ours[i] = true
			}
		}
		ans.Replayed = ans.Replayed && !g.ours[i]
		g.answers[i] = ans
	}
	if len(g.view.Missing) == 0 {
		return writes, nil
	}
	g.forget(writes)
	slices.Sort(g.view.Missing)
	return nil, slices.Compact(g.view.Missing)
}

// begun lists the leads that the answers begin.
func (g *group) begun() []string {
	var leads []string
	for _, a := range g.answers {
		if a.New {
			leads = append(leads, a.Lead)
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
	for i, a := range g.asks {
		if _, ok := lost[a.External]; ok {
			delete(g.ours, i)
		}
	}
}

// number fills in the sequences that claims of this group got, for answers that
// give them to another lead at once.
func (g *group) number(writes []write) {
	var stored map[identity.Key]uint64
	for i := range g.answers {
		for j, m := range g.answers[i].Repoint {
			if m.Seq > 0 {
				continue
			}
			if stored == nil {
				stored = make(map[identity.Key]uint64, len(writes))
				for _, w := range writes {
					stored[w.key] = w.stored
				}
			}
			g.answers[i].Repoint[j].Seq = stored[m.Key]
		}
	}
}
