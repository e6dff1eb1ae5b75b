// Package expr is the language of conditions in models, programs and routes:
// CEL over named, typed variables. A condition is compiled once, must answer
// true or false, and cannot run for longer than a fixed cost. What is wrong
// with it is told at the line and column of the file it stands in.
package expr

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/stage"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// CostLimit is what one evaluation may cost, in CEL's cost units: roughly one
// for each field read, comparison and ten characters of text looked at. The
// largest condition a person would write costs some hundreds.
const CostLimit = 10_000

// ErrCost: an evaluation was stopped because it would cost more than CostLimit.
var ErrCost = errors.New("condition costs too much")

// Kind is the type of a variable that is not a message.
type Kind int

// Kinds of variables, and the Go values Bool takes for them.
const (
	// Message takes the message that Var.Message is an example of.
	Message Kind = iota
	// String takes a string.
	String
	// Strings takes a []string.
	Strings
	// Int takes an int64.
	Int
	// Double takes a float64.
	Double
	// Bool takes a bool.
	Bool
	// Timestamp takes a time.Time or a *timestamppb.Timestamp.
	Timestamp
	// Stage takes a leadv1.Stage. Conditions compare it with the bare names of
	// the stages: stage == NURTURING, stage in [NEW, RECYCLED].
	Stage
)

// Var is one name that conditions may use.
type Var struct {
	Name string
	// Message is any value of the message type, nil for other kinds.
	Message proto.Message
	// Kind is the type when Message is nil.
	Kind Kind
}

// The variables that most conditions are written against.

// Lead is `lead`: leadv1.Facts, what is known about a lead.
func Lead() Var { return Var{Name: "lead", Message: &leadv1.Facts{}} }

// Score is `score`: leadv1.ScoreFacts, what scoring says about it.
func Score() Var { return Var{Name: "score", Message: &leadv1.ScoreFacts{}} }

// Activity is `activity`: leadv1.Activity, the thing the lead just did.
func Activity() Var { return Var{Name: "activity", Message: &leadv1.Activity{}} }

// LeadStage is `stage`: where the lead stands in its lifecycle.
func LeadStage() Var { return Var{Name: "stage", Kind: Stage} }

// Programs is `programs`: the names of the programs the lead is enrolled in.
func Programs() Var { return Var{Name: "programs", Kind: Strings} }

// Env knows the variables. It is safe for concurrent use.
type Env struct {
	cel   *cel.Env
	names nameBook
}

// NewEnv makes the environment in which conditions over the variables compile.
func NewEnv(vars ...Var) (*Env, error) {
	opts := []cel.EnvOption{
		ext.Strings(), ext.Sets(), cel.CrossTypeNumericComparisons(true), cel.DefaultUTCTimeZone(true),
	}
	for _, v := range vars {
		opt, err := v.declare()
		if err != nil {
			return nil, err
		}
		opts = append(opts, opt...)
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		return nil, fmt.Errorf("declare variables of conditions: %w", err)
	}
	return &Env{cel: env, names: newNameBook(vars)}, nil
}

func (v Var) declare() ([]cel.EnvOption, error) {
	if v.Message != nil {
		name := string(v.Message.ProtoReflect().Descriptor().FullName())
		return []cel.EnvOption{cel.Types(v.Message), cel.Variable(v.Name, cel.ObjectType(name))}, nil
	}
	switch v.Kind {
	case String:
		return []cel.EnvOption{cel.Variable(v.Name, cel.StringType)}, nil
	case Strings:
		return []cel.EnvOption{cel.Variable(v.Name, cel.ListType(cel.StringType))}, nil
	case Int:
		return []cel.EnvOption{cel.Variable(v.Name, cel.IntType)}, nil
	case Double:
		return []cel.EnvOption{cel.Variable(v.Name, cel.DoubleType)}, nil
	case Bool:
		return []cel.EnvOption{cel.Variable(v.Name, cel.BoolType)}, nil
	case Timestamp:
		return []cel.EnvOption{cel.Variable(v.Name, cel.TimestampType)}, nil
	case Stage:
		return append(stageConstants(), cel.Variable(v.Name, cel.IntType)), nil
	default:
		return nil, fmt.Errorf("variable %q: kind %d needs an example message", v.Name, v.Kind)
	}
}

// stageConstants make a misspelt stage a compile error instead of a condition
// that is never true.
func stageConstants() []cel.EnvOption {
	var opts []cel.EnvOption
	for _, s := range stage.All() {
		opts = append(opts, cel.Constant(stage.Name(s), cel.IntType, types.Int(s)))
	}
	return opts
}
