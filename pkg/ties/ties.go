package ties

import (
	"slices"
	"time"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// kept bounds the ended merges, and the leads that left, that are remembered.
const kept = 100

// How soon awaited leads are looked for again.
const (
	firstLook = 250 * time.Millisecond
	lastLook  = time.Hour
)

// News is what one record of ingest changes about a lead's ties.
type News struct {
	// Closed: the lead is merged into another one now. Opened: it is one of its
	// own again; Hosts are the leads that had it meanwhile, none when the merge
	// never came to be.
	Closed, Opened bool
	Hosts          []string
	// Joined and Left are leads that turned out to be this one, and that are no
	// longer it.
	Joined, Left []string
}

// Any reports whether anything changed.
func (n News) Any() bool { return n.Closed || n.Opened || len(n.Joined)+len(n.Left) > 0 }

// Follow enters what a record of ingest tells into the ties, which are made when
// there are none. seq is the record's place in LEADS.
func Follow(ties **leadv1.Ties, s *ingestv1.State, events []*ingestv1.Event, seq uint64) News {
	if *ties == nil {
		*ties = &leadv1.Ties{}
	}
	t, n := *ties, News{}
	switch into := s.GetMergedInto(); {
	case into != nil && t.IntoLeadId == "":
		n.Closed = true
		end(t, into.GetId(), seq)
	case into == nil && t.IntoLeadId != "":
		n.Opened = true
		for _, h := range hosts(events) {
			n.Hosts = append(n.Hosts, h.GetLeadId())
			await(t, &leadv1.Tie{LeadId: h.GetLeadId(), MergeId: h.GetMergeId(), Back: true, Seq: seq})
		}
	}
	t.IntoLeadId = s.GetMergedInto().GetIntoLeadId()
	n.Joined, n.Left = missing(s.GetMergedFrom(), t.GetFromLeadIds()), missing(t.GetFromLeadIds(), s.GetMergedFrom())
	for _, lead := range n.Joined {
		await(t, &leadv1.Tie{LeadId: lead, MergeId: mergeOf(s, lead), Seq: seq})
	}
	for _, lead := range n.Left {
		Took(t, &leadv1.Tie{LeadId: lead})
		t.LeftLeadIds = last(append(missing(t.GetLeftLeadIds(), []string{lead}), lead))
	}
	for _, e := range events {
		if u := e.GetUnmerged(); u != nil {
			end(t, u.GetMergeId(), seq)
		}
	}
	t.FromLeadIds = slices.Clone(s.GetMergedFrom())
	return n
}

// hosts are the leads that a record says had the lead while it was merged.
func hosts(events []*ingestv1.Event) []*ingestv1.Host {
	var all []*ingestv1.Host
	for _, e := range events {
		if e.GetRestored() != nil {
			all = e.GetRestored().GetHosts()
		}
	}
	return all
}

// mergeOf is the id of the merge by which a lead came.
func mergeOf(s *ingestv1.State, lead string) string {
	for _, p := range s.GetParts() {
		if p.GetLead().GetLeadId() == lead {
			return p.GetMerge().GetId()
		}
	}
	return ""
}

func await(t *leadv1.Ties, a *leadv1.Tie) {
	if !a.GetBack() { // a lead comes by one merge at a time, but may have to give back of several
		Took(t, &leadv1.Tie{LeadId: a.GetLeadId()})
	}
	t.Awaited, t.Looks = append(t.GetAwaited(), a), 0
}

func end(t *leadv1.Ties, merge string, seq uint64) {
	t.Ended = last(append(t.GetEnded(), &leadv1.Tie{MergeId: merge, Seq: seq}))
}

func last[T any](list []T) []T { return list[max(0, len(list)-kept):] }

// missing are those of a list that another one has not.
func missing(list, from []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(lead string) bool { return slices.Contains(from, lead) })
}

// Reopened reports whether a lead that is merged into another one, by these ties, is
// one of its own again by those of a service that had read LEADS up to a sequence.
func Reopened(t, theirs *leadv1.Ties, upTo uint64) bool {
	if t.GetIntoLeadId() == "" || theirs.GetIntoLeadId() != "" {
		return false
	}
	for _, e := range t.GetEnded() {
		if e.GetSeq() >= upTo {
			return false // it had not read of the merge
		}
	}
	return true
}

// Expect adds leads that others say are this person, and that ingest's own record
// will name soon.
func Expect(ties **leadv1.Ties, leads []string) {
	for _, lead := range leads {
		if *ties == nil {
			*ties = &leadv1.Ties{}
		}
		t := *ties
		if !slices.Contains(t.GetFromLeadIds(), lead) && !Awaits(t, &leadv1.Tie{LeadId: lead}) && !slices.Contains(t.GetLeftLeadIds(), lead) {
			await(t, &leadv1.Tie{LeadId: lead})
		}
	}
}

// Awaits reports whether this is still to be taken over. A tie without the id of
// a merge stands for any of its lead's.
func Awaits(t *leadv1.Ties, a *leadv1.Tie) bool {
	return slices.ContainsFunc(t.GetAwaited(), func(b *leadv1.Tie) bool { return same(a, b) })
}

// Took notes that this was taken over.
func Took(t *leadv1.Ties, a *leadv1.Tie) {
	t.Awaited = slices.DeleteFunc(slices.Clone(t.GetAwaited()), func(b *leadv1.Tie) bool { return same(a, b) })
}

func same(a, b *leadv1.Tie) bool {
	return a.GetLeadId() == b.GetLeadId() && a.GetBack() == b.GetBack() && (a.GetMergeId() == "" || a.GetMergeId() == b.GetMergeId())
}

// Complete reports whether the parts of all these leads were taken over.
func Complete(t *leadv1.Ties, leads []string) bool {
	return !slices.ContainsFunc(leads, func(lead string) bool {
		return Awaits(t, &leadv1.Tie{LeadId: lead}) || !slices.Contains(t.GetFromLeadIds(), lead)
	})
}

// Next is when awaited leads are to be looked for; zero when none is. Count the
// looks in Looks.
func Next(t *leadv1.Ties, now time.Time) time.Time {
	closed := t.GetIntoLeadId() != "" // it gets back what it hands over with its own, and nothing else
	switch {
	case len(t.GetAwaited()) == 0, closed && !slices.ContainsFunc(t.GetAwaited(), (*leadv1.Tie).GetBack):
		return time.Time{}
	case t.GetLooks() == 0:
		return now
	}
	return now.Add(min(firstLook<<min(t.GetLooks()-1, 20), lastLook))
}

// Ready reports whether what is awaited of another lead can be taken over, by the
// ties of that one: the merge in question has ended there, because it closed, or
// because it gave a lead back, and it has got what itself awaited back before.
func Ready(other *leadv1.Ties, awaited *leadv1.Tie) bool {
	i := slices.IndexFunc(other.GetEnded(), func(e *leadv1.Tie) bool { return e.GetMergeId() == awaited.GetMergeId() })
	return i >= 0 && awaited.GetMergeId() != "" && !slices.ContainsFunc(other.GetAwaited(), func(a *leadv1.Tie) bool {
		return a.GetBack() && a.GetSeq() < other.Ended[i].GetSeq()
	})
}
