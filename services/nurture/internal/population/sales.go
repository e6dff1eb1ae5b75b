package population

import (
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"
)

// Verdict is how a rep answers one handoff in the end.
type Verdict string

// The verdicts.
const (
	// AcceptAndKeep: taken, and still being worked on when the story ends.
	AcceptAndKeep Verdict = "accept"
	// AcceptAndWin and AcceptAndLose: taken, and closed later.
	AcceptAndWin  Verdict = "win"
	AcceptAndLose Verdict = "lose"
	// NotReady: given back to nurture. NoBudget too, with another reason.
	NotReady Verdict = "not_ready"
	NoBudget Verdict = "no_budget"
)

// Judgement is what a rep will say, and when.
type Judgement struct {
	Verdict Verdict
	// After is the time to the first answer, Close from there to won or lost.
	After, Close time.Duration
}

// Judge decides how sales answers the nth handoff (from 1) of an e-mail
// address: most are accepted, some come back, and somebody who comes a second
// time is taken more seriously.
func Judge(seed uint64, email string, round uint64, react time.Duration) Judgement {
	h := fnv.New64a()
	_, _ = h.Write([]byte(email + "#" + strconv.FormatUint(round, 10)))
	d := rand.New(rand.NewPCG(seed, h.Sum64()))
	j := Judgement{
		After: react/2 + time.Duration(d.Float64()*float64(react)),
		Close: react + time.Duration(d.Float64()*float64(react)*2),
	}
	roll := d.Float64()
	if round > 1 {
		roll *= .75
	}
	switch {
	case roll < .30:
		j.Verdict = AcceptAndKeep
	case roll < .58:
		j.Verdict = AcceptAndWin
	case roll < .75:
		j.Verdict = AcceptAndLose
	case roll < .95:
		j.Verdict = NotReady
	default:
		j.Verdict = NoBudget
	}
	return j
}
