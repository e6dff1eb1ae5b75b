package score

import (
	"math"
	"strconv"
	"time"

	"github.com/nurturehq/nurture/services/scoring/internal/model"

	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// maxWait bounds how far ahead a crossing is looked for.
const maxWait = 10 * 365 * 24 * time.Hour

// CrossingTime answers after what time a single fading value reaches a line
// below it: H * log2(value/line).
func CrossingTime(value, line float64, halfLife time.Duration) time.Duration {
	t := float64(halfLife) * math.Log2(value/line)
	if !(t < float64(maxWait)) {
		return maxWait
	}
	return time.Duration(t)
}

// Leaves answers when behaviour will have left the open range (below, above)
// by fading alone, if nothing else happens. ok is false when it never does.
// The answer is never early; it is late by at most a millionth of the wait, or
// a millisecond.
//
// While all counters have the same half-life, no points are negative and no cap
// binds, the moment is in closed form. Otherwise it is found by bisection: the
// positive part under its caps only falls and the negative part only rises, so
// that the values at both ends of an interval bound all between, and an interval
// in which no line can be crossed is left out whole.
func Leaves(m *model.Model, counters []*scoringv1.Counter, now time.Time, below, above float64) (time.Time, bool) {
	p := newProjection(m, counters, now)
	if len(p.terms) == 0 {
		return time.Time{}, false
	}
	// Readings are rounded: look for the moment at which rounding cannot hide it.
	slack := Grain * float64(len(p.terms)+1)
	r := span{below: below - slack, above: above + slack}
	if p.simple {
		return p.closedForm(now, r.below)
	}
	wait, ok := p.search(r, 0, p.at(0), p.horizon, p.at(p.horizon))
	return now.Add(wait), ok
}

// span is the open range in which nothing changes.
type span struct{ below, above float64 }

// term is one counter as of now.
type term struct {
	value    float64
	halfLife time.Duration
	group    int
}

// projection is the behaviour of a lead to which nothing happens any more.
type projection struct {
	terms   []term
	caps    []float64
	horizon time.Duration
	// simple: one half-life, nothing negative, no cap binds.
	simple bool
}

func newProjection(m *model.Model, counters []*scoringv1.Counter, now time.Time) projection {
	p := projection{terms: make([]term, 0, len(counters)), simple: true}
	for i, g := range m.Behaviour {
		positive := 0.0
		for _, c := range counters {
			r := m.Rule(c.GetRule())
			if r == nil || r.Group != g.ID {
				continue
			}
			v := Value(c, now, r.HalfLife)
			positive += max(0, v)
			p.add(term{value: v, halfLife: r.HalfLife, group: i})
		}
		p.caps = append(p.caps, g.Cap)
		p.simple = p.simple && positive <= g.Cap
	}
	p.horizon = min(p.horizon, maxWait)
	return p
}

func (p *projection) add(t term) {
	if math.Abs(t.value) < Grain {
		return
	}
	p.simple = p.simple && t.value > 0 && (len(p.terms) == 0 || p.terms[0].halfLife == t.halfLife)
	p.terms = append(p.terms, t)
	// After this time it has faded below a grain, and no line is that low.
	p.horizon = max(p.horizon, CrossingTime(math.Abs(t.value), Grain/2, t.halfLife))
}

// closedForm is t* = now + H * log2(S/line).
func (p projection) closedForm(now time.Time, line float64) (time.Time, bool) {
	total := 0.0
	for _, t := range p.terms {
		total += t.value
	}
	if line <= 0 {
		return time.Time{}, false
	}
	wait := max(0, CrossingTime(total, line, p.terms[0].halfLife))
	return now.Add(wait + time.Millisecond), wait < maxWait
}

// parts are the two sides of behaviour at one moment: both only shrink.
type parts struct{ positive, negative float64 }

func (v parts) total() float64 { return v.positive - v.negative }

func (p projection) at(after time.Duration) parts {
	var v parts
	group, sum := 0, 0.0
	for _, t := range p.terms {
		if t.group != group {
			v.positive += min(sum, p.caps[group])
			group, sum = t.group, 0
		}
		value := Faded(t.value, after, t.halfLife)
		sum += max(0, value)
		v.negative += max(0, -value)
	}
	v.positive += min(sum, p.caps[group])
	return v
}

// search finds the first moment in (from, to] at which behaviour is outside
// the range; v and w are the parts at the two ends.
func (p projection) search(r span, from time.Duration, v parts, to time.Duration, w parts) (time.Duration, bool) {
	lowest, highest := w.positive-v.negative, v.positive-w.negative
	if lowest > r.below && highest < r.above {
		return 0, false
	}
	if to-from <= max(time.Millisecond, to/1_000_000) {
		if total := w.total(); total <= r.below || total >= r.above {
			return to, true
		}
		return 0, false
	}
	mid := from + (to-from)/2
	u := p.at(mid)
	if t, ok := p.search(r, from, v, mid, u); ok {
		return t, true
	}
	return p.search(r, mid, u, to, w)
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
