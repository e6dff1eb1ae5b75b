package handoff

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/nurturehq/nurture/pkg/config"
	"github.com/nurturehq/nurture/pkg/expr"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
	"github.com/nurturehq/nurture/services/handoff/internal/route"
)

// Routes are what routes.yaml says: the desk's policy and the reps.
type Routes struct {
	Policy desk.Policy
	Reps   []route.Rep
}

// routesFile is routes.yaml as it is written.
type routesFile struct {
	Gate struct {
		Require   []config.Text `yaml:"require"`
		Consent   []string      `yaml:"consent"`
		LookAgain struct {
			First time.Duration `yaml:"first"`
			Max   time.Duration `yaml:"max"`
		} `yaml:"look_again"`
	} `yaml:"gate"`
	SLA struct {
		RespondWithin time.Duration `yaml:"respond_within"`
		Reminders     uint32        `yaml:"reminders"`
		RemindEvery   time.Duration `yaml:"remind_every"`
		Reassignments uint32        `yaml:"reassignments"`
	} `yaml:"sla"`
	Delivery struct {
		Schedule []time.Duration `yaml:"schedule"`
		Scale    float64         `yaml:"scale"`
		Jitter   float64         `yaml:"jitter"`
	} `yaml:"delivery"`
	Reps []repFile `yaml:"reps"`
}

type repFile struct {
	ID       config.Text `yaml:"id"`
	Name     string      `yaml:"name"`
	Weight   *uint16     `yaml:"weight"`
	Capacity *uint32     `yaml:"capacity"`
	When     config.Text `yaml:"when"`
}

// LoadRoutes reads routes.yaml. What is wrong is told with file, line, column
// and what was expected.
func LoadRoutes(file string) (Routes, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return Routes{}, fmt.Errorf("read routes: %w", err)
	}
	return ParseRoutes(file, raw)
}

// Conditions are those of all reps.
func (r Routes) Conditions() []*expr.Program {
	var list []*expr.Program
	for _, rep := range r.Reps {
		if prog, ok := rep.When.(*expr.Program); ok {
			list = append(list, prog)
		}
	}
	return list
}

// ParseRoutes is LoadRoutes of bytes at hand; file is used in errors.
func ParseRoutes(file string, raw []byte) (Routes, error) {
	f := defaultRoutes()
	if err := config.DecodeYAML(file, raw, &f); err != nil {
		return Routes{}, err
	}
	policy, err := f.policy(file)
	if err != nil {
		return Routes{}, err
	}
	reps, err := f.reps(file)
	if err != nil {
		return Routes{}, err
	}
	return Routes{Policy: policy, Reps: reps}, nil
}

func defaultRoutes() routesFile {
	p, f := desk.DefaultPolicy(), routesFile{}
	for _, field := range p.Require {
		f.Gate.Require = append(f.Gate.Require, config.Text{Value: string(field)})
	}
	f.Gate.LookAgain.First, f.Gate.LookAgain.Max = p.FirstLook, p.MaxLook
	f.SLA.RespondWithin, f.SLA.Reminders = p.SLA.RespondWithin, p.SLA.Reminders
	f.SLA.RemindEvery, f.SLA.Reassignments = p.SLA.RemindEvery, p.SLA.Reassignments
	f.Delivery.Schedule, f.Delivery.Scale, f.Delivery.Jitter = p.Delivery.Pauses, p.Delivery.Scale, p.Delivery.Jitter
	return f
}

func (f routesFile) policy(file string) (desk.Policy, error) {
	p := desk.Policy{
		Consent: f.Gate.Consent, FirstLook: f.Gate.LookAgain.First, MaxLook: f.Gate.LookAgain.Max,
		SLA: desk.SLA{
			RespondWithin: f.SLA.RespondWithin, Reminders: f.SLA.Reminders,
			RemindEvery: f.SLA.RemindEvery, Reassignments: f.SLA.Reassignments,
		},
		Delivery: desk.Schedule{Pauses: f.Delivery.Schedule, Scale: f.Delivery.Scale, Jitter: f.Delivery.Jitter},
	}
	for _, t := range f.Gate.Require {
		if !slices.Contains(desk.Fields(), desk.Field(t.Value)) {
			return p, config.Errorf(file, t.Line, t.Column, "gate.require: unknown field %q, use some of %v", t.Value, desk.Fields())
		}
		p.Require = append(p.Require, desk.Field(t.Value))
	}
	if err := checkPolicy(p); err != nil {
		return p, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

func checkPolicy(p desk.Policy) error {
	negative := func(d time.Duration) bool { return d < 0 }
	switch {
	case p.FirstLook <= 0 || p.MaxLook < p.FirstLook:
		return errors.New("gate.look_again: first must be more than 0 and max at least as long, e.g. 1s and 1h")
	case p.SLA.RespondWithin < 0:
		return errors.New("sla.respond_within: must be 0 (no clock) or more")
	case p.SLA.RespondWithin > 0 && p.SLA.RemindEvery <= 0:
		return errors.New("sla.remind_every: must be more than 0, it is the pause after a reminder")
	case len(p.Delivery.Pauses) == 0 || slices.ContainsFunc(p.Delivery.Pauses, negative):
		return errors.New("delivery.schedule: needs a pause of 0 or more before each attempt, e.g. [0s, 5s, 5m]")
	case p.Delivery.Scale <= 0:
		return errors.New("delivery.scale: must be more than 0; 1 keeps the schedule as it is written")
	case p.Delivery.Jitter < 0 || p.Delivery.Jitter > 1:
		return errors.New("delivery.jitter: must be between 0 and 1, the share of a pause that is added at most")
	}
	return nil
}

func (f routesFile) reps(file string) ([]route.Rep, error) {
	env, err := expr.NewEnv(expr.Lead(), expr.Score())
	if err != nil {
		return nil, fmt.Errorf("conditions of reps: %w", err)
	}
	if len(f.Reps) == 0 {
		return nil, fmt.Errorf("%s: reps: name at least one, e.g. \"reps: [{id: ada, name: Ada Example}]\"", file)
	}
	reps := make([]route.Rep, 0, len(f.Reps))
	for i, r := range f.Reps {
		rep, err := r.rep(file, env)
		if err != nil {
			return nil, err
		}
		if rep.ID == "" {
			return nil, fmt.Errorf("%s: reps[%d]: id is missing", file, i)
		}
		if slices.ContainsFunc(reps, func(other route.Rep) bool { return other.ID == rep.ID }) {
			return nil, config.Errorf(file, r.ID.Line, r.ID.Column, "reps[%d]: id %q is taken by another rep", i, rep.ID)
		}
		reps = append(reps, rep)
	}
	return reps, nil
}

func (r repFile) rep(file string, env *expr.Env) (route.Rep, error) {
	rep := route.Rep{ID: r.ID.Value, Name: r.Name, Weight: 1, Capacity: route.Unlimited}
	if r.Weight != nil {
		rep.Weight = int(*r.Weight)
	}
	if r.Capacity != nil {
		rep.Capacity = int(*r.Capacity)
	}
	if r.When.Value == "" {
		return rep, nil
	}
	prog, err := env.Compile(file, r.When.Line, r.When.Column, r.When.Value)
	if err != nil {
		return rep, fmt.Errorf("rep %q: when: %w", rep.ID, err)
	}
	rep.When = prog
	return rep, nil
}
