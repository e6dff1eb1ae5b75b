package model

import (
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/config"
	"github.com/nurturehq/nurture/pkg/expr"
)

const (
	defaultHalfLife = 7 * 24 * time.Hour
	defaultCoolDown = 24 * time.Hour
	// leastRenew makes "any new behaviour at all" a number above zero.
	leastRenew = 1.0 / (1 << 20)
)

// compiler gathers all that is wrong, so that a person mends it in one go.
type compiler struct {
	name     string
	profile  *expr.Env
	activity *expr.Env
	fast     *expr.Env
	model    *Model
	errs     []error
}

// compile checks a decoded model and makes it ready to use.
func compile(name string, f *File) (*Model, error) {
	c := &compiler{name: name, model: &Model{
		Description: f.Description,
		fit:         map[string]*ProfileRule{}, rules: map[string]*Rule{}, byType: map[string][]*Rule{},
	}}
	if err := c.environments(); err != nil {
		return nil, err
	}
	c.id("name", f.Name)
	c.fitBands(f.Fit)
	c.fitGroups(f.Fit)
	c.bands(f.Behaviour)
	c.groups(f.Behaviour)
	c.lines(f.Qualify)
	c.fastTrack(f.FastTrack)
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	return c.model, nil
}

func (c *compiler) environments() error {
	var err error
	env := func(vars ...expr.Var) *expr.Env {
		e, fault := expr.NewEnv(vars...)
		err = errors.Join(err, fault)
		return e
	}
	c.profile = env(expr.Lead())
	c.activity = env(expr.Activity())
	c.fast = env(expr.Activity(), expr.Lead())
	return err
}

// fault notes what is wrong at a place.
func (c *compiler) fault(p Place, format string, args ...any) {
	c.errs = append(c.errs, config.Errorf(c.name, p.Line, p.Col, format, args...))
}

var idPattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

func (c *compiler) id(what string, t config.Text) {
	switch {
	case t.Value == "":
		c.fault(at(t), "%s is missing", what)
	case !idPattern.MatchString(t.Value):
		c.fault(at(t), "%s %q: use small letters, digits, _ and -, beginning with a letter", what, t.Value)
	}
}

// ruleID checks an id that must be the only one of its kind: reasons and
// counters are kept by it.
func (c *compiler) ruleID(t config.Text, taken bool) {
	c.id("rule id", t)
	if taken {
		c.fault(at(t), "rule id %q is used twice: every rule needs its own", t.Value)
	}
}

func (c *compiler) when(env *expr.Env, t config.Text) *expr.Program {
	prog, err := env.Compile(c.name, t.Line, t.Column, t.Value)
	if err != nil {
		c.errs = append(c.errs, err)
	}
	c.model.Conditions = append(c.model.Conditions, prog)
	return prog
}

func (c *compiler) optional(env *expr.Env, t config.Text) *expr.Program {
	if t.Value == "" {
		return nil
	}
	return c.when(env, t)
}

func (c *compiler) points(rule config.Text, n Number) {
	if !n.Given {
		c.fault(at(rule), "rule %q needs points", rule.Value)
	}
}

// limit reads a cap that may be left out.
func (c *compiler) limit(what string, n Number) float64 {
	if !n.Given {
		return math.Inf(1)
	}
	if n.Value <= 0 {
		c.fault(n.Place, "%s %v: expected a number above 0; leave it out for none", what, n.Value)
	}
	return n.Value
}

func (c *compiler) fitBands(f Fit) {
	c.model.FitBands = [2]float64(c.descending("fit.bands", []string{"A", "B"}, f.Bands.A, f.Bands.B))
}

func (c *compiler) bands(b Behaviour) {
	c.model.Bands = [3]float64(c.descending("behaviour.bands", []string{"1", "2", "3"}, b.Bands.One, b.Bands.Two, b.Bands.Three))
}

// descending reads the least points of bands, best first.
func (c *compiler) descending(what string, names []string, limits ...Number) []float64 {
	least := make([]float64, 0, len(limits))
	best, bestName := math.Inf(1), ""
	for i, n := range limits {
		switch {
		case !n.Given:
			c.fault(n.Place, "%s.%s is missing: give the least points of %s", what, names[i], strings.Join(names, ", "))
		case n.Value <= 0:
			c.fault(n.Place, "%s.%s %v: expected a number above 0", what, names[i], n.Value)
		case n.Value >= best:
			c.fault(n.Place, "%s.%s %v: expected less than %s, which is %v", what, names[i], n.Value, bestName, best)
		}
		least = append(least, n.Value)
		best, bestName = n.Value, names[i]
	}
	return least
}

func (c *compiler) fitGroups(f Fit) {
	for _, g := range f.Groups {
		c.id("group id", g.ID)
		group := Group[*ProfileRule]{ID: g.ID.Value, Cap: c.limit("cap", g.Cap)}
		for _, r := range g.Rules {
			c.ruleID(r.ID, c.model.fit[r.ID.Value] != nil)
			c.points(r.ID, r.Points)
			rule := &ProfileRule{ID: r.ID.Value, Text: named(r.Text, r.ID), Points: r.Points.Value, When: c.when(c.profile, placed(r.When, r.ID))}
			c.model.fit[rule.ID] = rule
			group.Rules = append(group.Rules, rule)
		}
		c.model.Fit = append(c.model.Fit, group)
	}
}

// placed lends something missing the place of its rule.
func placed(t, rule config.Text) config.Text {
	if t.Line == 0 {
		t.Line, t.Column = rule.Line, rule.Column
	}
	return t
}

func at(t config.Text) Place { return Place{Line: t.Line, Col: t.Column} }

func named(text string, id config.Text) string {
	if text == "" {
		return strings.ReplaceAll(id.Value, "_", " ")
	}
	return text
}

func (c *compiler) groups(b Behaviour) {
	for _, g := range b.Groups {
		c.id("group id", g.ID)
		group := Group[*Rule]{ID: g.ID.Value, Cap: c.limit("cap", g.Cap)}
		for _, r := range g.Rules {
			rule := c.rule(r, firstSpan(r.HalfLife, g.HalfLife, b.HalfLife))
			rule.Group = group.ID
			c.model.rules[rule.ID] = rule
			c.model.byType[rule.On] = append(c.model.byType[rule.On], rule)
			group.Rules = append(group.Rules, rule)
		}
		c.model.Behaviour = append(c.model.Behaviour, group)
	}
}

func (c *compiler) rule(r BehaviourRule, halfLife Span) *Rule {
	c.ruleID(r.ID, c.model.rules[r.ID.Value] != nil)
	c.id("on (the type of activity)", placed(r.On, r.ID))
	c.points(r.ID, r.Points)
	if halfLife.Value <= 0 {
		c.fault(halfLife.Place, "half_life of rule %q: expected a length of time above 0, such as 7d", r.ID.Value)
	}
	return &Rule{
		ID: r.ID.Value, Text: named(r.Text, r.ID), On: r.On.Value, Points: r.Points.Value,
		When: c.optional(c.activity, r.When), HalfLife: halfLife.Value, DailyCap: c.limit("daily_cap", r.DailyCap),
	}
}

func firstSpan(spans ...Span) Span {
	for _, s := range spans {
		if s.Given {
			return s
		}
	}
	return Span{Value: defaultHalfLife, Given: true}
}

func (c *compiler) lines(q Qualify) {
	for i, l := range []*Line{q.A, q.B, q.C} {
		c.model.Lines[i] = c.line("ABC"[i:][:1], l)
	}
	c.model.CoolDown = defaultCoolDown
	if q.CoolDown.Given {
		c.model.CoolDown = q.CoolDown.Value
	}
	if q.Renew.Value < 0 {
		c.fault(q.Renew.Place, "renew %v: expected 0 or more points", q.Renew.Value)
	}
	c.model.Renew = max(q.Renew.Value, leastRenew)
	if !slices.ContainsFunc(c.model.Lines[:], func(t Threshold) bool { return !t.Never() }) {
		c.fault(Place{}, "qualify: no fit band has a line, so that no lead would ever qualify by points; give A, B or C a theta_hi and theta_lo")
	}
}

func (c *compiler) line(name string, l *Line) Threshold {
	if l == nil {
		return Threshold{Hi: math.Inf(1), Lo: math.Inf(1)}
	}
	switch {
	case !l.Hi.Given || l.Hi.Value <= 0:
		c.fault(l.Hi.Place, "qualify.%s.theta_hi: expected a number above 0", name)
	case !l.Lo.Given || l.Lo.Value <= 0 || l.Lo.Value > l.Hi.Value:
		c.fault(l.Lo.Place, "qualify.%s.theta_lo: expected a number above 0 and at most theta_hi, which is %v", name, l.Hi.Value)
	}
	return Threshold{Hi: l.Hi.Value, Lo: l.Lo.Value}
}

func (c *compiler) fastTrack(rules []Fast) {
	seen := map[string]bool{}
	for _, r := range rules {
		c.ruleID(r.ID, seen[r.ID.Value])
		seen[r.ID.Value] = true
		c.id("on (the type of activity)", placed(r.On, r.ID))
		c.model.FastTrack = append(c.model.FastTrack, FastTrack{
			ID: r.ID.Value, Text: named(r.Text, r.ID), On: r.On.Value, When: c.optional(c.fast, r.When),
		})
	}
}
