package program

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/config"
	"github.com/nurturehq/nurture/pkg/expr"
	"github.com/nurturehq/nurture/services/campaign/internal/gate"
	"github.com/nurturehq/nurture/services/campaign/internal/letter"
)

// Defaults of a program that does not say otherwise.
const (
	DefaultPurpose  = "marketing_email"
	DefaultMaxDefer = 72 * time.Hour
)

// onAsked begins a program with a yes that waits for a confirmation.
const onAsked = "consent_asked"

// maxSteps bounds a program, and with it what one input can cost.
const maxSteps = 200

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Compiler compiles programs. It is safe for concurrent use.
type Compiler struct{ env *expr.Env }

// NewCompiler prepares the language of conditions: lead, score, stage,
// activity, programs and now.
func NewCompiler() (*Compiler, error) {
	env, err := expr.NewEnv(expr.Lead(), expr.Score(), expr.LeadStage(), expr.Activity(), expr.Programs(),
		expr.Var{Name: "now", Kind: expr.Timestamp})
	if err != nil {
		return nil, err
	}
	return &Compiler{env: env}, nil
}

// Compile checks a bundle and compiles it. The error joins everything that is
// wrong, each as "file:line:column: what; what to do".
func (c *Compiler) Compile(b Bundle) (*Program, error) {
	var src source
	if err := config.DecodeYAML(b.File, []byte(b.YAML), &src); err != nil {
		return nil, err
	}
	raw, err := b.Encode()
	if err != nil {
		return nil, err
	}
	one := &compiler{env: c.env, bundle: b, src: src, paper: newPaper(b.File, []byte(b.YAML)), writer: letter.NewWriter(b.Links)}
	p := one.program()
	p.Version = Hash(raw)
	if err := one.paper.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// compiler compiles one bundle.
type compiler struct {
	env    *expr.Env
	bundle Bundle
	src    source
	paper  *paper
	writer *letter.Writer

	conditions []*expr.Program
}

func (c *compiler) program() *Program {
	if !namePattern.MatchString(c.src.Name) {
		c.paper.fail(path("name"), "name %q: use 1 to 63 small letters, digits, - and _", c.src.Name)
	}
	p := &Program{
		Name: c.src.Name, Description: c.src.Description, Priority: c.src.Priority, Evergreen: c.src.Evergreen,
		Enroll: c.enroll(), Rules: c.rules(), Links: c.bundle.Links, letters: map[string]*letter.Letter{},
		Exit: c.condition(c.src.Exit.When, "exit", "when"), Goal: c.condition(c.src.Goal.When, "goal", "when"),
	}
	before := len(c.paper.errs)
	p.Steps = c.steps()
	if len(c.paper.errs) == before {
		c.checkGraph(p.Steps) // a way to an unknown step would only be told twice
	}
	c.letters(p)
	p.Conditions = c.conditions
	return p
}

// condition compiles an optional condition; nil when it is not written.
func (c *compiler) condition(text string, at ...any) *expr.Program {
	if text == "" {
		return nil
	}
	line, column := c.paper.text(at...)
	prog, err := c.env.Compile(c.paper.file, line, column, text)
	c.paper.add(err)
	c.conditions = append(c.conditions, prog)
	return prog
}

func (c *compiler) enroll() Enroll {
	src := c.src.Enroll
	if src.On != "" && src.On != "recycled" && src.On != onAsked {
		c.paper.fail(path("enroll", "on"), `on: %q: only "recycled" and "consent_asked" are known; leave it out to let "when" decide alone`, src.On)
	}
	if src.On == "" && src.When == "" {
		c.paper.fail(path("enroll"), `enroll needs a condition; write for example when: stage == NURTURING`)
	}
	return Enroll{
		Recycled: src.On == "recycled", Asked: src.On == onAsked,
		Who: c.condition(src.Who, "enroll", "who"), When: c.condition(src.When, "enroll", "when"),
		ReEntry: c.reEntry(src.ReEntry),
	}
}

func (c *compiler) reEntry(text string) ReEntry {
	mode, after, timed := strings.Cut(strings.TrimSpace(text), " ")
	switch {
	case text == "", text == string(ReEntryNever):
		return ReEntry{Mode: ReEntryNever}
	case text == string(ReEntryAlways):
		return ReEntry{Mode: ReEntryAlways}
	case timed && mode == string(ReEntryAfter):
		if d, err := config.ParseDuration(strings.TrimSpace(after)); err == nil && d > 0 {
			return ReEntry{Mode: ReEntryAfter, After: c.scale(d)}
		}
	}
	c.paper.fail(path("enroll", "re_entry"), `re_entry: %q: write never, always, or "after 30d"`, text)
	return ReEntry{}
}

func (c *compiler) rules() gate.Rules {
	r := gate.Rules{Purpose: DefaultPurpose, MaxDefer: DefaultMaxDefer, Quiet: c.quiet(), Transactional: c.src.Enroll.On == onAsked}
	if c.src.Purpose != "" {
		r.Purpose = c.src.Purpose
	}
	if c.src.MaxDefer < 0 {
		c.paper.fail(path("max_defer"), "max_defer cannot be negative")
	}
	if c.src.MaxDefer > 0 {
		r.MaxDefer = c.src.MaxDefer
	}
	r.MaxDefer = c.scale(r.MaxDefer)
	if limit := c.src.FrequencyCap; limit != nil {
		if limit.Max < 1 || limit.Max > 50 {
			c.paper.fail(path("frequency_cap", "max"), "max must be between 1 and 50, it is %d", limit.Max)
		}
		if limit.Per <= 0 || limit.Per > 90*24*time.Hour {
			c.paper.fail(path("frequency_cap", "per"), "per must be between 1s and 90d, it is %v", limit.Per)
		}
		r.Cap = gate.Cap{Max: limit.Max, Per: c.scale(limit.Per)}
	}
	return r
}

func (c *compiler) quiet() *gate.Quiet {
	src := c.src.QuietHours
	if src == nil {
		return nil
	}
	q := &gate.Quiet{}
	var err error
	if q.From, err = gate.ParseClock(src.From); err != nil {
		c.paper.fail(path("quiet_hours", "from"), "from: %v", err)
	}
	if q.To, err = gate.ParseClock(src.To); err != nil {
		c.paper.fail(path("quiet_hours", "to"), "to: %v", err)
	} else if q.From == q.To {
		c.paper.fail(path("quiet_hours", "to"), "from and to are the same; leave quiet_hours out to write at any hour")
	}
	if q.Fallback, err = time.LoadLocation(src.Zone); err != nil || src.Zone == "Local" {
		c.paper.fail(path("quiet_hours", "zone"), "unknown zone %q; write an IANA name like Europe/Berlin", src.Zone)
	}
	return q
}

// scale applies the time scale; nothing shrinks to zero.
func (c *compiler) scale(d time.Duration) time.Duration {
	if c.bundle.TimeScale == 0 || c.bundle.TimeScale == 1 || d <= 0 {
		return d
	}
	return max(time.Millisecond, time.Duration(float64(d)*c.bundle.TimeScale))
}

// letters compiles the templates that email steps name.
func (c *compiler) letters(p *Program) {
	for i, s := range p.Steps {
		if s.Kind != Email || p.letters[s.Template] != nil {
			continue
		}
		src, ok := c.bundle.Templates[s.Template]
		if !ok {
			c.unknownTemplate(i, s.Template)
			continue
		}
		l, err := c.writer.Parse(src)
		c.paper.add(err)
		if l != nil {
			p.letters[s.Template] = l
		}
	}
}

func (c *compiler) unknownTemplate(step int, name string) {
	known := make([]string, 0, len(c.bundle.Templates))
	for k := range c.bundle.Templates {
		known = append(known, k)
	}
	slices.Sort(known)
	hint := "there are no templates"
	if len(known) > 0 {
		hint = "known are " + strings.Join(known, ", ")
	}
	if near := expr.Nearest(name, known); near != "" {
		hint = `did you mean "` + near + `"?`
	}
	c.paper.fail(path("steps", step, "email", "template"), "unknown template %q; %s", name, hint)
}

// TemplatesOf lists the templates a program names, sorted, each once.
func TemplatesOf(file string, raw []byte) ([]string, error) {
	var src source
	if err := config.DecodeYAML(file, raw, &src); err != nil {
		return nil, err
	}
	var names []string
	for _, s := range src.Steps {
		if s.Email != nil {
			names = append(names, s.Email.Template)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
