package program

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/expr"
)

var eventPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

func (c *compiler) steps() []Step {
	if len(c.src.Steps) == 0 || len(c.src.Steps) > maxSteps {
		c.paper.fail(path("steps"), "a program needs 1 to %d steps, this one has %d", maxSteps, len(c.src.Steps))
	}
	steps := make([]Step, 0, len(c.src.Steps))
	for i, src := range c.src.Steps {
		steps = append(steps, c.step(i, src, steps))
	}
	return steps
}

func (c *compiler) step(i int, src stepSource, before []Step) Step {
	if !namePattern.MatchString(src.ID) {
		c.paper.fail(path("steps", i, "id"), "step %d: id %q: use 1 to 63 small letters, digits, - and _", i+1, src.ID)
	}
	if slices.ContainsFunc(before, func(s Step) bool { return s.ID == src.ID }) {
		c.paper.fail(path("steps", i, "id"), "step id %q is used twice; ids name steps in next, then and else", src.ID)
	}
	kinds := src.kinds()
	if len(kinds) != 1 {
		c.paper.fail(path("steps", i), "step %q must be exactly one of email, wait, await, branch, exit, goal; it is %s", src.ID, listed(kinds))
		return Step{ID: src.ID, Kind: Exit}
	}
	s := Step{ID: src.ID, Kind: kinds[0], Next: c.target(c.following(i), src.Next, "steps", i, "next")}
	c.fill(i, src, &s)
	return s
}

// fill sets what belongs to the step's kind.
func (c *compiler) fill(i int, src stepSource, s *Step) {
	at := func(field string) []any { return path("steps", i, string(s.Kind), field) }
	if src.Next != "" && s.Kind != Email && s.Kind != Wait {
		c.paper.fail(path("steps", i, "next"), "next belongs to email and wait steps; %s", nextHint(s.Kind))
	}
	switch s.Kind {
	case Email:
		s.Template = src.Email.Template
		c.subject(i, src.Email.Subject, s)
	case Wait:
		s.For = c.span(src.Wait.For, at("for"))
	case Await:
		c.await(i, *src.Await, s)
	case Branch:
		if src.Branch.When == "" {
			c.paper.fail(at("when"), "branch needs a condition; write for example when: score.behaviour > 10")
		}
		s.When = c.condition(src.Branch.When, at("when")...)
		s.Then = c.target(s.Next, src.Branch.Then, at("then")...)
		s.Else = c.target(s.Next, src.Branch.Else, at("else")...)
	case Exit:
		s.Reason = src.Exit.Reason
		if s.Reason == "" {
			s.Reason = s.ID
		}
	case Goal:
	}
}

func (c *compiler) await(i int, src awaitSource, s *Step) {
	at := func(field string) []any { return path("steps", i, "await", field) }
	s.Event, s.Timeout = src.Event, c.span(src.Timeout, at("timeout"))
	if !eventPattern.MatchString(src.Event) {
		c.paper.fail(at("event"), "event %q: write the type of an activity, like email_clicked or page_viewed", src.Event)
	}
	s.When = c.condition(src.When, at("when")...)
	s.Then = c.target(s.Next, src.Then, at("then")...)
	s.Else = c.target(s.Next, src.Else, at("else")...)
}

func (c *compiler) subject(i int, text string, s *Step) {
	if strings.TrimSpace(text) == "" {
		c.paper.fail(path("steps", i, "email", "subject"), "email needs a subject")
		return
	}
	line, column := c.paper.text("steps", i, "email", "subject")
	subject, err := c.writer.ParseLine(c.paper.file, line, column, text)
	c.paper.add(err)
	s.Subject = subject
}

// span is a duration that must be written and positive.
func (c *compiler) span(d time.Duration, at []any) time.Duration {
	if d <= 0 {
		c.paper.fail(at, "%v must be a duration above zero, like 90s, 3h or 7d", at[len(at)-1])
	}
	return c.scale(d)
}

// following is the step written next; End after the last one.
func (c *compiler) following(i int) string {
	if i+1 < len(c.src.Steps) {
		return c.src.Steps[i+1].ID
	}
	return End
}

// target is where a way leads: the step named, or the one written next. "end"
// names the end when no step is called that.
func (c *compiler) target(next, id string, at ...any) string {
	if id == "" {
		return next
	}
	ids := make([]string, 0, len(c.src.Steps))
	for _, s := range c.src.Steps {
		ids = append(ids, s.ID)
	}
	switch {
	case slices.Contains(ids, id):
		return id
	case id == "end":
		return End
	}
	hint := "known are " + strings.Join(ids, ", ") + ", end"
	if near := expr.Nearest(id, ids); near != "" {
		hint = `did you mean "` + near + `"?`
	}
	c.paper.fail(at, "unknown step %q; %s", id, hint)
	return End
}

func listed(kinds []Kind) string {
	if len(kinds) == 0 {
		return "none of them"
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names, " and ")
}

func nextHint(k Kind) string {
	if k == Await || k == Branch {
		return "write then and else"
	}
	return "this step ends the program"
}
