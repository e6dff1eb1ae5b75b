// Package program is what marketing writes down about a nurture program, read
// from YAML, checked as a whole and compiled. A program that compiles has no
// unknown step, template, variable or type, and cannot run for ever unless it
// says so.
package program

import (
	"slices"
	"time"

	"github.com/nurturehq/nurture/pkg/expr"
	"github.com/nurturehq/nurture/services/campaign/internal/gate"
	"github.com/nurturehq/nurture/services/campaign/internal/letter"
)

// Kind is what a step does.
type Kind string

// The kinds of steps.
const (
	// Email sends one letter, when the gates agree.
	Email Kind = "email"
	// Wait lets time pass.
	Wait Kind = "wait"
	// Await waits for something the lead does, or for a timeout.
	Await Kind = "await"
	// Branch goes one of two ways.
	Branch Kind = "branch"
	// Exit leaves the program early.
	Exit Kind = "exit"
	// Goal ends the program as a success.
	Goal Kind = "goal"
)

// End is the step after the last one: the program is finished.
const End = ""

// Program is one compiled version of a program. It does not change.
type Program struct {
	Name        string
	Description string
	// Version is the content hash of everything the program needs: itself, its
	// templates, the links they use and the time scale.
	Version string
	// Priority decides who writes first when several programs want to. Higher wins.
	Priority int
	// Evergreen programs may go round for ever, with a wait in every round.
	Evergreen bool
	Enroll    Enroll
	// Exit and Goal are nil when the program has none.
	Exit, Goal *expr.Program
	// Conditions are those of all its parts.
	Conditions []*expr.Program
	Rules      gate.Rules
	Steps      []Step
	// Links are the constants its templates use.
	Links   map[string]string
	letters map[string]*letter.Letter
}

// Enroll says who enters, when and how often.
type Enroll struct {
	// Recycled: only a lead that sales gave back enters.
	Recycled bool
	// Asked: only a lead whose yes waits for a confirmation enters. The program is
	// transactional: no consent, stage or other program keeps it back.
	Asked bool
	// Who a lead must be, and what must be true at the moment.
	Who, When *expr.Program
	ReEntry   ReEntry
}

// ReEntry says whether a lead that was enrolled before may enter again.
type ReEntry struct {
	Mode ReEntryMode
	// After is how long ago the last stay must have ended, for ReEntryAfter.
	After time.Duration
}

// ReEntryMode is one of never, after, always.
type ReEntryMode string

// The modes of re-entry.
const (
	ReEntryNever  ReEntryMode = "never"
	ReEntryAfter  ReEntryMode = "after"
	ReEntryAlways ReEntryMode = "always"
)

// Step is one step. Next, Then and Else are ids of steps, or End.
type Step struct {
	ID   string
	Kind Kind
	// Next follows email and wait.
	Next string
	// Template and Subject belong to email.
	Template string
	Subject  *letter.Line
	// For is how long wait waits, Timeout how long await does.
	For, Timeout time.Duration
	// Event is the type of activity await waits for.
	Event string
	// When must hold for the awaited activity, or decides a branch; nil holds.
	When *expr.Program
	// Then and Else follow await (happened, timed out) and branch (yes, no).
	Then, Else string
	// Reason names why exit exits.
	Reason string
}

// ways are the steps that may follow.
func (s Step) ways() []string {
	switch s.Kind {
	case Await, Branch:
		return []string{s.Then, s.Else}
	case Exit, Goal:
		return []string{End}
	default:
		return []string{s.Next}
	}
}

// Step finds a step; false for End and for ids the program does not have.
func (p *Program) Step(id string) (Step, bool) {
	i := slices.IndexFunc(p.Steps, func(s Step) bool { return s.ID == id })
	if i < 0 {
		return Step{}, false
	}
	return p.Steps[i], true
}

// Letter is the compiled template of an email step.
func (p *Program) Letter(template string) *letter.Letter { return p.letters[template] }

// StepIDs lists the steps in the order they are written.
func (p *Program) StepIDs() []string {
	ids := make([]string, len(p.Steps))
	for i, s := range p.Steps {
		ids[i] = s.ID
	}
	return ids
}
