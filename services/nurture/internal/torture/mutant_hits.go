package torture

import "slices"

// hitMutants spoil what is known of opens and clicks.
func hitMutants() []Mutant {
	return []Mutant{
		{"drop an acknowledged click", Lost, dropHit},
		{"record a click twice", DupEffect, repeatHit},
		{"record a click that nobody made", DupEffect, inventHit},
		{"record a click of another lead's mail", DupEffect, strayHit},
		{"leave a hit without a verdict", Unaccounted, dropVerdict},
		{"judge a hit twice", DupEffect, repeatVerdict},
		{"take a machine for a person", DupEffect, misjudge(StatusMachine, StatusHuman)},
		{"take a person for a machine", Lost, misjudge(StatusHuman, StatusMachine)},
		{"overrule a verdict wrongly", Lost, overrule},
		{"score a machine's click", DupEffect, scoreMachine},
		{"let a machine's click move a journey", DupEffect, moveJourney},
	}
}

// hitOf finds the first acknowledged hit with a verdict; -1 for none.
func (ev *Evidence) hitOf(status string) int {
	acked, verdicts := ev.acked(), map[string]string{}
	for _, f := range ev.Facts {
		if f.Kind == Judged {
			verdicts[f.ID] = f.Status
		}
	}
	return ev.find(func(f Fact) bool {
		return f.Kind == Activity && f.Type == Clicked && acked[f.ID] && (status == "" || verdicts[f.ID] == status)
	})
}

func dropHit(ev *Evidence) bool {
	i := ev.hitOf("")
	if i >= 0 {
		ev.Facts = slices.Delete(ev.Facts, i, i+1)
	}
	return i >= 0
}

func repeatHit(ev *Evidence) bool {
	i := ev.hitOf("")
	if i >= 0 {
		ev.Facts = append(ev.Facts, ev.Facts[i])
	}
	return i >= 0
}

func inventHit(ev *Evidence) bool {
	i := ev.hitOf("")
	if i < 0 {
		return false
	}
	hit := ev.Facts[i]
	verdict := hit
	hit.ID += "-invented"
	verdict.ID, verdict.Kind, verdict.Status = hit.ID, Judged, StatusMachine
	ev.Facts = append(ev.Facts, hit, verdict)
	return true
}

func strayHit(ev *Evidence) bool {
	i := ev.hitOf("")
	if i < 0 {
		return false
	}
	lead := ev.Facts[i].Lead
	j := ev.find(func(f Fact) bool { return f.Kind == Known && f.Lead != lead })
	if j >= 0 {
		ev.Facts[i].Lead = ev.Facts[j].Lead
	}
	return j >= 0
}

func (ev *Evidence) verdictOf(status string) int {
	return ev.find(func(f Fact) bool { return f.Kind == Judged && (status == "" || f.Status == status) })
}

func dropVerdict(ev *Evidence) bool {
	i := ev.verdictOf("")
	if i >= 0 {
		ev.Facts = slices.Delete(ev.Facts, i, i+1)
	}
	return i >= 0
}

func repeatVerdict(ev *Evidence) bool {
	i := ev.verdictOf("")
	if i >= 0 {
		ev.Facts = append(ev.Facts, ev.Facts[i])
	}
	return i >= 0
}

func misjudge(was, is string) func(*Evidence) bool {
	return func(ev *Evidence) bool {
		i := ev.verdictOf(was)
		if i >= 0 {
			ev.Facts[i].Status = is
		}
		return i >= 0
	}
}

func overrule(ev *Evidence) bool {
	i := ev.verdictOf(StatusHuman)
	if i >= 0 {
		again := ev.Facts[i]
		again.Status, again.Ref = StatusMachine, Again
		ev.Facts = append(ev.Facts, again)
	}
	return i >= 0
}

func scoreMachine(ev *Evidence) bool {
	i := ev.hitOf(StatusMachine)
	if i < 0 {
		return false
	}
	lead := ev.Facts[i].Lead
	j := ev.find(func(f Fact) bool { return f.Kind == Score && f.Lead == lead && f.Status != StageMerged })
	if j >= 0 {
		ev.Facts[j].Points += PointsOf(Clicked)
	}
	return j >= 0
}

// moveJourney lets a lead be thanked whose mails only machines clicked, or nobody.
func moveJourney(ev *Evidence) bool {
	k, clicked := newCourt(ev), map[string]bool{}
	for _, f := range ev.Facts {
		if f.Kind == Judged && f.Type == Clicked && f.Status == StatusHuman {
			clicked[k.kin(f.Lead)] = true
		}
	}
	i := ev.find(func(f Fact) bool { return f.Kind == Touch && f.Type == Last && !clicked[k.kin(f.Lead)] })
	if i >= 0 {
		ev.Facts[i].Type = Thanks
	}
	return i >= 0
}
