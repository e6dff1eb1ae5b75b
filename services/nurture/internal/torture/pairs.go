package torture

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// match finds pairs among neighbours: people who agreed to mails, of whom at most
// one goes to sales or unsubscribes, and who have one browser each. The second
// arrives with the first.
func match(dice *rand.Rand, people []*Person, over time.Duration) []Pair {
	var pairs []Pair
	for i := 0; i+1 < len(people); i++ {
		a, b := people[i], people[i+1]
		if !mayPair(a) || !mayPair(b) || a.Role != Nurtured && b.Role != Nurtured || dice.IntN(3) == 0 {
			continue
		}
		b.At = min(a.At+time.Duration(dice.IntN(3000))*time.Millisecond, over)
		pairs = append(pairs, newPair(dice, a, b))
		i++ // nobody is in two
	}
	return pairs
}

func mayPair(p *Person) bool {
	for _, s := range p.Steps {
		if s.Elsewhere {
			return false
		}
	}
	return p.Role == Nurtured || p.Role == Ready || p.Role == Leaver
}

func newPair(dice *rand.Rand, a, b *Person) Pair {
	span := func(most int) time.Duration { return time.Duration(dice.IntN(most)) * time.Millisecond }
	p := Pair{Into: a, From: b, After: span(6000), GiveUp: dice.IntN(3) == 0, Unmerge: dice.IntN(2) == 0, Stay: 500*time.Millisecond + span(4000)}
	p.Merged = p.more(dice, "m")
	if p.Unmerge {
		p.Parted = p.more(dice, "u")
	}
	return p
}

// more is what both do once more, beside their scripts.
func (p Pair) more(dice *rand.Rand, when string) (steps []PairStep) {
	kinds := [...]string{PageViewed, CaseRead}
	for n, who := range []*Person{p.From, p.Into, p.From} {
		steps = append(steps, PairStep{By: who, Step: Step{
			ID: fmt.Sprintf("%s-%s%d", who.Key, when, n), Kind: Track, Type: kinds[dice.IntN(len(kinds))],
			Message: letters(dice.Uint64()), Pause: time.Duration(dice.IntN(800)) * time.Millisecond,
			Again: dice.IntN(4) == 0,
		}})
	}
	return steps
}
