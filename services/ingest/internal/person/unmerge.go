package person

import (
	"slices"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// release takes a lead that was merged in, and those merged into that one, out
// of this one. They are kept until that lead has them.
func (f *fold) release(r *ingestv1.Release) (Change, error) {
	if m := f.st.GetMergedInto(); m != nil {
		return Change{}, &MovedError{Lead: f.in.Lead, Into: m.GetIntoLeadId()}
	}
	if !f.has(r.GetLeadId()) {
		return done()
	}
	account := f.st.GetLead().GetAccountId()
	stay, gone := split(f.st.GetParts(), r.GetLeadId())
	hits := f.handBack(gone)
	chain := hosts(f.st.GetParts(), r.GetLeadId())
	id := gone[0].GetMerge().GetId()
	gone[0].Merge = nil
	f.st.Leaving = append(f.st.Leaving, &ingestv1.Leaving{Id: id, LeadId: r.GetLeadId(), Parts: gone, Hosts: chain, Hits: hits})
	combine(f.st, stay)
	remember(&f.st.Apart, r.GetLeadId())
	unmerged := &ingestv1.Event{Fact: &ingestv1.Event_Unmerged{Unmerged: &ingestv1.Unmerged{LeadId: r.GetLeadId(), MergeId: id}}}
	return f.took(ReasonReleased, append([]*ingestv1.Event{unmerged}, f.joined(account, byUnmerge)...)...)
}

// handBack judges the opens and clicks of leads that go: their verdict belongs to
// the history in which they are, and nothing is told here of those leads any more.
// It gives them to be taken along, because a later one may overrule them.
func (f *fold) handBack(gone []*ingestv1.Part) (hits []*leadv1.Activity) {
	theirs := func(a *leadv1.Activity) bool {
		return slices.ContainsFunc(gone, func(p *ingestv1.Part) bool { return p.GetLead().GetLeadId() == a.GetLeadId() })
	}
	if f.rules != nil {
		j := &judging{st: f.st, rules: f.rules, now: f.now}
		j.conclude(theirs)
		f.events = append(f.events, j.events...)
	}
	for _, a := range f.st.GetHits() {
		if theirs(a) {
			hits = append(hits, a)
		}
	}
	f.st.Hits = slices.DeleteFunc(f.st.GetHits(), theirs)
	return hits
}

// hosts are the leads that had a part's lead: the one it was merged into, the one
// that one was merged into, and so on to the whole.
func hosts(parts []*ingestv1.Part, lead string) []*ingestv1.Host {
	merges := make(map[string]*ingestv1.Merge, len(parts))
	for _, p := range parts {
		merges[p.GetLead().GetLeadId()] = p.GetMerge()
	}
	var all []*ingestv1.Host
	for at := merges[lead]; at != nil && len(all) < len(parts); at = merges[at.GetIntoLeadId()] {
		all = append(all, &ingestv1.Host{LeadId: at.GetIntoLeadId(), MergeId: merges[at.GetIntoLeadId()].GetId()})
	}
	if n := len(all); n > 0 {
		all[n-1].MergeId = merges[lead].GetId()
	}
	return all
}

// split tells apart what stays and what goes with a lead: the lead's own part,
// first, and those that came into it, directly or through another.
func split(parts []*ingestv1.Part, lead string) (stay, leaves []*ingestv1.Part) {
	into := make(map[string]string, len(parts))
	for _, p := range parts {
		into[p.GetLead().GetLeadId()] = p.GetMerge().GetIntoLeadId()
	}
	for _, p := range parts {
		at := p.GetLead().GetLeadId()
		for range parts {
			if at == lead || at == "" {
				break
			}
			at = into[at]
		}
		switch {
		case at != lead:
			stay = append(stay, p)
		case p.GetLead().GetLeadId() == lead:
			leaves = slices.Insert(leaves, 0, p)
		default:
			leaves = append(leaves, p)
		}
	}
	return stay, leaves
}

// restore gives the lead its own again, also what came while it was merged.
func (f *fold) restore(r *ingestv1.Restore) (Change, error) {
	if m := f.st.GetMergedInto(); m == nil || m.GetId() != r.GetId() {
		return done()
	}
	account := f.st.GetLead().GetAccountId()
	f.st.MergedInto = nil
	combine(f.st, r.GetParts())
	if hits := r.GetHits(); len(hits) > 0 {
		for _, a := range hits {
			if a.GetLeadId() == f.in.Lead {
				a.LeadId = "" // it is its own again
			}
		}
		f.st.Hits = hits
	}
	remember(&f.st.Apart, r.GetFromLeadId())
	facts := append([]*ingestv1.Event{restored(r.GetFromLeadId(), r.GetHosts()...)}, f.joined(account, byUnmerge)...)
	return f.took(ReasonRestored, facts...)
}

func (f *fold) forget(id string) (Change, error) {
	n := len(f.st.GetLeaving())
	f.st.Leaving = slices.DeleteFunc(f.st.Leaving, func(l *ingestv1.Leaving) bool { return l.GetId() == id })
	if len(f.st.Leaving) == n {
		return done()
	}
	return f.took(ReasonForgotten)
}

// remember adds a lead to those that were separated.
func remember(list *[]string, lead string) {
	if slices.Contains(*list, lead) {
		return
	}
	*list = append(*list, lead)
	if over := len(*list) - maxApart; over > 0 {
		*list = slices.Delete(*list, 0, over)
	}
}
