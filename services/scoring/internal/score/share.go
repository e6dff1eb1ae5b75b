package score

import (
	"cmp"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/services/scoring/internal/model"

	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// Leads that are one person each have their shares: what was counted in whose
// history as whose doing. Points add up, so the person's counters are the sum of
// the shares whose doers are this person now, and taking leads apart again is
// leaving some of them out. It does not matter in which order shares come, nor
// that they come twice: of two for the same, the later one counts.

// Own begins to keep shares: what was counted so far is the lead's own.
func Own(s *scoringv1.State, lead string, seq uint64) *scoringv1.Share {
	if own := share(s, lead, lead); own != nil {
		own.Seq = max(own.GetSeq(), seq)
		return own
	}
	own := &scoringv1.Share{LogLeadId: lead, OriginLeadId: lead, Counters: copied(s.GetCounters()), Seq: seq}
	put(s, own)
	return own
}

// Of is the share in a lead's own history of a lead that is this person too.
func Of(s *scoringv1.State, lead, origin string, seq uint64) *scoringv1.Share {
	own := Own(s, lead, 0)
	if origin == "" || origin == lead {
		own.Seq = max(own.GetSeq(), seq)
		return own
	}
	sh := share(s, lead, origin)
	if sh == nil {
		sh = &scoringv1.Share{LogLeadId: lead, OriginLeadId: origin}
		put(s, sh)
	}
	sh.Seq = max(sh.GetSeq(), seq)
	return sh
}

// Take takes over shares of other leads' histories, of what some did: those who
// are this person, and those who were and may ask for it.
func Take(s *scoringv1.State, lead string, doers []string, shares []*scoringv1.Share) {
	for _, sh := range shares {
		if sh.GetLogLeadId() == lead || !slices.Contains(doers, sh.GetOriginLeadId()) {
			continue
		}
		have := share(s, sh.GetLogLeadId(), sh.GetOriginLeadId())
		switch {
		case have == nil:
			put(s, proto.CloneOf(sh))
		case have.GetSeq() < sh.GetSeq():
			have.Counters, have.Seq = copied(sh.GetCounters()), sh.GetSeq()
		}
	}
}

// Sum makes the counters of a lead from the shares of those who are this person.
func Sum(m *model.Model, s *scoringv1.State, person []string) {
	if len(s.GetShares()) == 0 {
		return
	}
	s.Counters = nil
	for _, sh := range s.GetShares() {
		if slices.Contains(person, sh.GetOriginLeadId()) {
			for _, c := range sh.GetCounters() {
				if rule := m.Rule(c.GetRule()); rule != nil {
					merge(counterOf(&s.Counters, rule.ID), c, rule.HalfLife)
				}
			}
		}
	}
}

// merge adds one counter to another one of the same rule.
func merge(to, c *scoringv1.Counter, halfLife time.Duration) {
	if c.GetAt() != nil {
		Bump(to, c.GetValue(), c.GetAt().AsTime(), halfLife)
	}
	if to.GetLastAt() == nil || c.GetLastAt().AsTime().After(to.GetLastAt().AsTime()) {
		to.LastAt = c.GetLastAt()
	}
	if c.GetDay() > to.GetDay() {
		to.Day, to.DayPoints, to.PreviousPoints = c.GetDay(), c.GetDayPoints(), c.GetPreviousPoints()
	}
}

func share(s *scoringv1.State, log, origin string) *scoringv1.Share {
	if i, found := place(s, log, origin); found {
		return s.Shares[i]
	}
	return nil
}

// put keeps the shares sorted.
func put(s *scoringv1.State, sh *scoringv1.Share) {
	i, _ := place(s, sh.GetLogLeadId(), sh.GetOriginLeadId())
	s.Shares = slices.Insert(s.Shares, i, sh)
}

func place(s *scoringv1.State, log, origin string) (int, bool) {
	return slices.BinarySearchFunc(s.GetShares(), [2]string{log, origin}, func(sh *scoringv1.Share, key [2]string) int {
		return cmp.Or(cmp.Compare(sh.GetLogLeadId(), key[0]), cmp.Compare(sh.GetOriginLeadId(), key[1]))
	})
}

func copied(counters []*scoringv1.Counter) []*scoringv1.Counter {
	all := make([]*scoringv1.Counter, len(counters))
	for i, c := range counters {
		all[i] = proto.CloneOf(c)
	}
	return all
}
