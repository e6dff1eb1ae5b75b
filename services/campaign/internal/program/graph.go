package program

import (
	"slices"
	"strings"
)

// checkGraph refuses steps nobody can reach and ways that never end.
func (c *compiler) checkGraph(steps []Step) {
	reached := reachable(steps)
	for i, s := range steps {
		if !reached[s.ID] {
			c.paper.fail(path("steps", i, "id"), "step %q is never reached; let a next, then or else lead to it, or delete it", s.ID)
		}
	}
	if c.src.Evergreen {
		if round := findRound(steps, func(s Step) bool { return s.Kind != Wait }); round != nil {
			c.failRound(steps, round, "the steps %s go round without a wait; put a wait step into the round")
		}
		return
	}
	if round := findRound(steps, func(Step) bool { return true }); round != nil {
		c.failRound(steps, round, "the program can never end: the steps %s go round for ever; lead one of them to an end, or declare evergreen: true (then every round needs a wait)")
	}
}

func (c *compiler) failRound(steps []Step, round []string, format string) {
	at := slices.IndexFunc(steps, func(s Step) bool { return s.ID == round[0] })
	c.paper.fail(path("steps", at, "id"), format, strings.Join(append(round, round[0]), " -> "))
}

func reachable(steps []Step) map[string]bool {
	seen := map[string]bool{}
	var visit func(id string)
	visit = func(id string) {
		i := indexOf(steps, id)
		if i < 0 || seen[id] {
			return
		}
		seen[id] = true
		for _, next := range steps[i].ways() {
			visit(next)
		}
	}
	if len(steps) > 0 {
		visit(steps[0].ID)
	}
	return seen
}

// findRound finds a cycle among the steps that count; nil when there is none.
// It begins with the step that is written first.
func findRound(steps []Step, counts func(Step) bool) []string {
	done := map[string]bool{}
	var trail, round []string
	var visit func(id string)
	visit = func(id string) {
		i := indexOf(steps, id)
		if i < 0 || done[id] || round != nil || !counts(steps[i]) {
			return
		}
		if at := slices.Index(trail, id); at >= 0 {
			round = slices.Clone(trail[at:])
			return
		}
		trail = append(trail, id)
		for _, next := range steps[i].ways() {
			visit(next)
		}
		trail = trail[:len(trail)-1]
		done[id] = round == nil
	}
	for _, s := range steps {
		visit(s.ID)
	}
	return round
}

func indexOf(steps []Step, id string) int {
	return slices.IndexFunc(steps, func(s Step) bool { return s.ID == id && id != End })
}
