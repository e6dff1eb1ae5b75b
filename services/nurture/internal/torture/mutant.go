package torture

import "slices"

// Mutant spoils good evidence in one place. A checker that does not see it is
// worth nothing.
type Mutant struct {
	Name string
	// Wrong is what the checker must find.
	Wrong Wrong
	// Spoil changes a copy of the evidence; false when it has nothing to spoil.
	Spoil func(*Evidence) bool
}

// Mutants are all we know to make.
func Mutants() []Mutant { return slices.Concat(eventMutants(), hitMutants(), mergeMutants()) }

// eventMutants spoil what is known of events, mails, handoffs and reads.
func eventMutants() []Mutant {
	return []Mutant{
		{"drop one acknowledged event", Lost, dropOne},
		{"drop one from the score", Lost, dropPoints},
		{"alter what one event says", Lost, alterOne},
		{"acknowledge before it is stored", Lost, ackLie},
		{"duplicate one event", DupEffect, duplicateOne},
		{"count one twice in the score", DupEffect, doublePoints},
		{"swap two events of a lead", Inversion, swapTwo},
		{"skip parking of poison", Unaccounted, skipParking(isPoison)},
		{"skip parking of a handoff", Unaccounted, skipParking(isDelivery)},
		{"skip parking of an ambiguous touch", Unaccounted, skipParking(isTouch)},
		{"lose a handoff", Unaccounted, loseHandoff},
		{"resend an ambiguous touch", DoubleSend, resendAmbiguous},
		{"resend a sent touch", DoubleSend, resendSent},
		{"send after an unsubscribe", LateSend, sendLate},
		{"omit a mail", Omitted, omitMail},
		{"answer from an old cache", Stale, staleRead},
		{"change a record", Mismatch, changeRecord},
	}
}

// Survivor is a mutant that the checker did not see, or that found nothing to spoil.
type Survivor struct {
	Name string
	Why  string
}

// Prove spoils the evidence in every way and returns what the checker missed.
// The evidence must be good and is not changed.
func Prove(ev *Evidence) (caught int, missed []Survivor) {
	for _, m := range Mutants() {
		bad := ev.clone()
		if !m.Spoil(bad) {
			missed = append(missed, Survivor{m.Name, "the run has nothing of the kind"})
			continue
		}
		if r := Check(bad); r.Count(m.Wrong) == 0 {
			missed = append(missed, Survivor{m.Name, "the checker does not see it: " + r.Line()})
			continue
		}
		caught++
	}
	return caught, missed
}

func (ev *Evidence) clone() *Evidence {
	c := *ev
	c.Journal = slices.Clone(ev.Journal)
	c.Facts = slices.Clone(ev.Facts)
	c.Verified = slices.Clone(ev.Verified)
	return &c
}

// find gives the place of the first fact that fits; -1 for none.
func (ev *Evidence) find(fits func(Fact) bool) int { return slices.IndexFunc(ev.Facts, fits) }

// acked are the ids that were acknowledged.
func (ev *Evidence) acked() map[string]bool {
	ids := map[string]bool{}
	for _, l := range ev.Journal {
		if l.Op == OpAnswer && l.Status == Acked {
			ids[l.ID] = true
		}
	}
	return ids
}

func dropOne(ev *Evidence) bool {
	acked := ev.acked()
	return ev.drop(func(f Fact) bool { return f.Kind == Activity && acked[f.ID] })
}

// drop removes the first fact that fits.
func (ev *Evidence) drop(fits func(Fact) bool) bool {
	i := ev.find(fits)
	if i >= 0 {
		ev.Facts = slices.Delete(ev.Facts, i, i+1)
	}
	return i >= 0
}

func addPoints(ev *Evidence, points float64) bool {
	i := ev.find(func(f Fact) bool { return f.Kind == Score && f.Points > 5 })
	if i >= 0 {
		ev.Facts[i].Points += points
	}
	return i >= 0
}

func dropPoints(ev *Evidence) bool   { return addPoints(ev, -PointsOf(PageViewed)) }
func doublePoints(ev *Evidence) bool { return addPoints(ev, PointsOf(PageViewed)) }

func alterOne(ev *Evidence) bool {
	acked := ev.acked()
	i := ev.find(func(f Fact) bool { return f.Kind == Activity && acked[f.ID] })
	if i >= 0 {
		ev.Facts[i].Hash = "0000000000000000"
	}
	return i >= 0
}

// ackLie takes an event that reached nobody's log and has it acknowledged.
func ackLie(ev *Evidence) bool {
	n := len(ev.Journal)
	lie := Line{ID: "never-stored", Who: ev.Journal[0].Who, Kind: Track, Type: PageViewed, Hash: "1111111111111111"}
	sent, answered := lie, lie
	sent.Op, sent.N = OpSend, n+1
	answered.Op, answered.N, answered.Status = OpAnswer, n+2, Acked
	ev.Journal = append(ev.Journal, sent, answered)
	return true
}

func duplicateOne(ev *Evidence) bool {
	acked := ev.acked()
	i := ev.find(func(f Fact) bool { return f.Kind == Activity && acked[f.ID] })
	if i >= 0 {
		ev.Facts = append(ev.Facts, ev.Facts[i])
	}
	return i >= 0
}

// swapTwo exchanges two neighbours of one lead of which the second was sent
// after the first was acknowledged. What came by way of NATS has no place.
func swapTwo(ev *Evidence) bool {
	sent, acked := map[string]int{}, map[string]int{}
	for _, l := range ev.Journal {
		if l.Kind == Inbound || l.Kind == Hit {
			continue
		}
		if l.Op == OpSend && sent[l.ID] == 0 {
			sent[l.ID] = l.N
		}
		if l.Op == OpAnswer && l.Status == Acked && acked[l.ID] == 0 {
			acked[l.ID] = l.N
		}
	}
	last := map[string]int{}
	for i, f := range ev.Facts {
		if f.Kind != Activity || acked[f.ID] == 0 {
			continue
		}
		j, ok := last[f.Lead]
		if ok && acked[ev.Facts[j].ID] < sent[f.ID] {
			ev.Facts[i], ev.Facts[j] = ev.Facts[j], ev.Facts[i]
			return true
		}
		last[f.Lead] = i
	}
	return false
}

// skipParking removes all that is parked about the first thing of a sort.
func skipParking(of func(*Evidence, string) bool) func(*Evidence) bool {
	return func(ev *Evidence) bool {
		i := ev.find(func(f Fact) bool { return f.Kind == Parked && of(ev, f.ID) })
		if i < 0 {
			return false
		}
		id := ev.Facts[i].ID
		ev.Facts = slices.DeleteFunc(ev.Facts, func(f Fact) bool { return f.Kind == Parked && f.ID == id })
		return true
	}
}

func isPoison(ev *Evidence, id string) bool {
	return ev.acked()[id] && slices.ContainsFunc(ev.Journal, func(l Line) bool { return l.ID == id && l.Kind == Poison })
}

func isDelivery(ev *Evidence, id string) bool {
	return ev.find(func(f Fact) bool { return f.Kind == Delivery && f.ID == id }) >= 0
}

func isTouch(ev *Evidence, id string) bool {
	return ev.find(func(f Fact) bool { return f.Kind == Touch && f.ID == id }) >= 0
}

func loseHandoff(ev *Evidence) bool {
	i := ev.find(func(f Fact) bool { return f.Kind == Handoff })
	if i < 0 {
		return false
	}
	lead := ev.Facts[i].Lead
	ev.Facts = slices.DeleteFunc(ev.Facts, func(f Fact) bool {
		return f.Lead == lead && (f.Kind == Handoff || f.Kind == Delivery)
	})
	return true
}

func resendAmbiguous(ev *Evidence) bool {
	i := ev.find(func(f Fact) bool { return f.Kind == Touch && f.Status == StatusAmbiguous })
	if i < 0 {
		return false
	}
	id, last := ev.Facts[i].ID, ev.Journal[len(ev.Journal)-1]
	ev.Journal = append(ev.Journal, Line{N: last.N + 1, At: last.At, Began: last.At, Op: OpMail, ID: id, Who: ev.whoOf(ev.Facts[i].Lead)})
	return true
}

// whoOf is the person that a lead is.
func (ev *Evidence) whoOf(lead string) string {
	i := ev.find(func(f Fact) bool { return f.Kind == Activity && f.Lead == lead })
	if i < 0 {
		return ""
	}
	for _, l := range ev.Journal {
		if l.ID == ev.Facts[i].ID {
			return l.Who
		}
	}
	return ""
}

func resendSent(ev *Evidence) bool {
	i := slices.IndexFunc(ev.Journal, func(l Line) bool { return l.Op == OpMail })
	if i >= 0 {
		again := ev.Journal[i]
		again.N = len(ev.Journal) + 1
		ev.Journal = append(ev.Journal, again)
	}
	return i >= 0
}

// sendLate moves an unsubscribe before the claim of a mail that went out. Of leads
// that were merged another answer may count, see mailLeft.
func sendLate(ev *Evidence) bool {
	merged := map[string]bool{}
	for _, f := range ev.Facts {
		if f.Kind == Merged {
			merged[f.Lead], merged[f.Ref] = true, true
		}
	}
	for i, s := range ev.Facts {
		if s.Kind != Suppressed && s.Kind != Withdrawn || merged[s.Lead] {
			continue
		}
		claim := ev.find(func(f Fact) bool {
			return f.Kind == Claim && f.Lead == s.Lead &&
				slices.ContainsFunc(ev.Journal, func(l Line) bool { return l.Op == OpMail && l.ID == f.ID })
		})
		if claim >= 0 {
			ev.Facts[i].At = ev.Facts[claim].At.Add(-1)
			return true
		}
	}
	return false
}

func omitMail(ev *Evidence) bool {
	sent := func(l Line) bool {
		return l.Op == OpMail && ev.find(func(f Fact) bool { return f.Kind == Touch && f.ID == l.ID && f.Status == StatusSent }) >= 0
	}
	i := slices.IndexFunc(ev.Journal, sent)
	if i >= 0 {
		ev.Journal = slices.Delete(ev.Journal, i, i+1)
	}
	return i >= 0
}

func staleRead(ev *Evidence) bool {
	i := ev.find(func(f Fact) bool { return f.Kind == Read })
	if i >= 0 {
		ev.Facts[i].Hash = "old"
	}
	return i >= 0
}

func changeRecord(ev *Evidence) bool {
	if len(ev.Verified) == 0 {
		return false
	}
	ev.Verified[0].Mismatches = append(slices.Clone(ev.Verified[0].Mismatches), "state differs")
	return true
}
