package torture

import (
	"slices"
	"time"
)

// mergeMutants spoil what is known of who is who.
func mergeMutants() []Mutant {
	return []Mutant{
		{"lose a join", DupEffect, loseJoin},
		{"lose a merge", Lost, loseTie(Merged)},
		{"merge twice", DupEffect, repeatTie(Merged)},
		{"merge with somebody else", DupEffect, mergeOthers},
		{"leave a merge half done", Unaccounted, dropSide(Frozen)},
		{"let a survivor wait for ever", Unaccounted, waitForEver},
		{"leave a merged lead open to scoring", Unaccounted, reopenScore},
		{"record about a merged lead", DupEffect, recordMerged},
		{"keep a merged lead's history from its survivor", Lost, keepHistory},
		{"keep a merged lead's points from its survivor", Lost, keepPoints},
		{"mail a merged lead", DupEffect, mailMerged},
		{"mail a step again because of a merge", DoubleSend, mailAgain},
		{"mail a survivor that the other lead's no is for", LateSend, mailLeft},
		{"hand over again because of a merge", DupEffect, handAgain},
		{"lose an unmerge", Lost, loseTie(Unmerged)},
		{"leave an unmerge half done", Unaccounted, dropSide(Restored)},
		{"keep a history after an unmerge", Lost, keepAfter},
		{"keep points after an unmerge", DupEffect, keepPointsAfter},
	}
}

// byHand are the pairs that somebody merged by hand, or separated.
func (ev *Evidence) byHand(kind Kind) map[pair]bool {
	acked, pairs := ev.acked(), map[pair]bool{}
	for _, l := range ev.Journal {
		if l.Op == OpSend && l.Kind == kind && acked[l.ID] {
			pairs[pair{from: l.From, into: l.Lead}] = true
		}
	}
	return pairs
}

func tieOf(f Fact) pair { return pair{from: f.Ref, into: f.Lead} }

func loseJoin(ev *Evidence) bool {
	byHand := ev.byHand(Merge)
	i := ev.find(func(f Fact) bool { return f.Kind == Merged && !byHand[tieOf(f)] && ev.did(f.Ref) && ev.did(f.Lead) })
	if i >= 0 {
		ev.Facts = slices.Delete(ev.Facts, i, i+1)
	}
	return i >= 0
}

// did reports whether anything is told of a lead.
func (ev *Evidence) did(lead string) bool {
	return ev.find(func(f Fact) bool { return f.Kind == Activity && f.Lead == lead }) >= 0
}

func sayOf(kind FactKind) Kind {
	if kind == Unmerged {
		return Unmerge
	}
	return Merge
}

func loseTie(kind FactKind) func(*Evidence) bool {
	return func(ev *Evidence) bool {
		byHand := ev.byHand(sayOf(kind))
		return ev.drop(func(f Fact) bool { return f.Kind == kind && byHand[tieOf(f)] })
	}
}

func repeatTie(kind FactKind) func(*Evidence) bool {
	return func(ev *Evidence) bool {
		byHand := ev.byHand(sayOf(kind))
		i := ev.find(func(f Fact) bool { return f.Kind == kind && byHand[tieOf(f)] })
		if i >= 0 {
			ev.Facts = slices.Insert(ev.Facts, i, ev.Facts[i])
		}
		return i >= 0
	}
}

// mergeOthers merges two who have nothing to do with each other.
func mergeOthers(ev *Evidence) bool {
	var alone []string
	for _, f := range ev.Facts {
		if f.Kind == Known && ev.did(f.Lead) {
			alone = append(alone, f.Lead)
		}
	}
	for n, from := range alone {
		for _, into := range alone[n+1:] {
			if ev.whoOf(from) != ev.whoOf(into) && !ev.byHand(Merge)[pair{from: from, into: into}] && !ev.byHand(Merge)[pair{from: into, into: from}] {
				ev.Facts = append(ev.Facts, Fact{Kind: Frozen, Lead: from, Ref: into}, Fact{Kind: Merged, Lead: into, Ref: from})
				return true
			}
		}
	}
	return false
}

func dropSide(kind FactKind) func(*Evidence) bool {
	return func(ev *Evidence) bool { return ev.drop(func(f Fact) bool { return f.Kind == kind }) }
}

func waitForEver(ev *Evidence) bool {
	i := ev.find(func(f Fact) bool { return f.Kind == Merged })
	if i >= 0 {
		wait := ev.Facts[i]
		wait.Kind = Awaits
		ev.Facts = append(ev.Facts, wait)
	}
	return i >= 0
}

func reopenScore(ev *Evidence) bool {
	i := ev.find(func(f Fact) bool { return f.Kind == Score && f.Status == StageMerged })
	if i >= 0 {
		ev.Facts[i].Status = StageNurturing
	}
	return i >= 0
}

func recordMerged(ev *Evidence) bool {
	i := ev.find(func(f Fact) bool { return f.Kind == Activity && f.Host != "" })
	if i >= 0 {
		ev.Facts[i].Host = ""
	}
	return i >= 0
}

// known finds what a lead that came out of a tie has at the end: of one that was
// merged the survivor, of one that was separated itself.
func (ev *Evidence) known(kind FactKind, of FactKind) int {
	k := newCourt(ev)
	for _, f := range ev.Facts {
		lead := k.lead(f.Lead)
		if f.Kind == Unmerged {
			lead = f.Ref
		}
		if f.Kind != kind || k.lead(lead) != lead || kind == Merged && k.lead(f.Ref) == f.Ref {
			continue
		}
		if i := ev.find(func(f Fact) bool { return f.Kind == of && f.Lead == lead && f.Points >= 2 }); i >= 0 {
			return i
		}
	}
	return -1
}

func (ev *Evidence) alter(i int, points float64) bool {
	if i >= 0 {
		ev.Facts[i].Points += points
	}
	return i >= 0
}

func keepHistory(ev *Evidence) bool     { return ev.alter(ev.known(Merged, Known), -1) }
func keepPoints(ev *Evidence) bool      { return ev.alter(ev.known(Merged, Score), -1) }
func keepAfter(ev *Evidence) bool       { return ev.alter(ev.known(Unmerged, Known), -1) }
func keepPointsAfter(ev *Evidence) bool { return ev.alter(ev.known(Unmerged, Score), 1) }

// claimed moves all claims of a touch to a moment.
func (ev *Evidence) claimed(touch string, at time.Time) {
	for i, f := range ev.Facts {
		if f.Kind == Claim && f.ID == touch {
			ev.Facts[i].At = at
		}
	}
}

func mailMerged(ev *Evidence) bool {
	k := newCourt(ev)
	for _, b := range k.bonds {
		for _, t := range k.own[Touch] {
			if t.Lead == b.from && len(k.mails[t.ID]) > 0 {
				ev.claimed(t.ID, b.at.Add(1))
				return true
			}
		}
	}
	return false
}

// mailAgain moves the claim of a survivor's mail behind the merge with a lead that
// had got the same.
func mailAgain(ev *Evidence) bool {
	k := newCourt(ev)
	claims := byID(k.facts[Claim])
	for _, b := range k.bonds {
		for _, t := range k.own[Touch] {
			twin := slices.ContainsFunc(k.own[Touch], func(o Fact) bool {
				return o.Lead == b.from && o.Ref == Welcome && o.Type == t.Type && len(k.mails[o.ID]) > 0 &&
					len(claims[o.ID]) > 0 && lastBefore(claims[o.ID], k.mails[o.ID][0].At).Before(b.at)
			})
			if twin && t.Lead == b.into && t.Ref == Welcome && len(k.mails[t.ID]) > 0 {
				ev.claimed(t.ID, b.at.Add(1))
				return true
			}
		}
	}
	return false
}

// mailLeft lets a lead unsubscribe before it is merged, and moves the claim of a mail
// of its survivor behind the merge.
func mailLeft(ev *Evidence) bool {
	k := newCourt(ev)
	for _, b := range k.bonds {
		if k.partings(k.kin(b.into)) > 0 || k.agreedAfter(b.pair, b.at) {
			continue
		}
		for _, t := range k.own[Touch] {
			if t.Lead == b.into && len(k.mails[t.ID]) > 0 {
				ev.Facts = append(ev.Facts, Fact{Kind: Suppressed, Lead: b.from, At: b.at})
				ev.claimed(t.ID, b.at.Add(1))
				return true
			}
		}
	}
	return false
}

func handAgain(ev *Evidence) bool {
	k := newCourt(ev)
	for _, b := range k.bonds {
		if k.partings(k.kin(b.into)) > 0 {
			continue
		}
		for _, d := range k.own[Delivery] {
			if d.Type == assigned && (d.Lead == b.from || d.Lead == b.into) {
				again := d
				again.Lead, again.ID = b.into, d.ID+"-again"
				ev.Facts = append(ev.Facts, again)
				return true
			}
		}
	}
	return false
}
