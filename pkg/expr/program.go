package expr

import (
	"fmt"
	"math"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Program is one compiled condition. It is safe for concurrent use.
type Program struct {
	prog cel.Program
	src  source
	keys []key
}

// Compile checks and compiles a condition that starts at line and col (from 1)
// of file. The error is an *Error (or several, joined) that points into the file.
func (e *Env) Compile(file string, line, col int, text string) (*Program, error) {
	src := source{file: file, line: line, col: col, text: text}
	if strings.TrimSpace(text) == "" {
		return nil, src.at(1, 0, "the condition is empty", `write true for "always"`)
	}
	parsed, iss := e.cel.Parse(text)
	if iss.Err() != nil {
		return nil, e.describe(src, nil, iss)
	}
	checked, iss := e.cel.Check(parsed)
	if iss.Err() != nil {
		return nil, e.describe(src, parsed, iss)
	}
	if !checked.OutputType().IsExactType(cel.BoolType) {
		return nil, src.at(1, 0, fmt.Sprintf("the condition gives %s, not true or false", typeName(checked.OutputType())), "compare it with something")
	}
	return e.plan(src, checked)
}

// plan refuses what is bound to cost too much and watches the cost at run time
// only where it is not proven to stay below the limit: watching costs more than
// the condition itself.
func (e *Env) plan(src source, checked *cel.Ast) (*Program, error) {
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	estimate, err := e.cel.EstimateCost(checked, sizes{})
	switch {
	case err != nil || estimate.Max > CostLimit:
		opts = append(opts, cel.CostLimit(CostLimit))
	case estimate.Min > CostLimit:
		return nil, src.at(1, 0, fmt.Sprintf("the condition costs at least %d, the limit is %d", estimate.Min, CostLimit), "use fewer nested loops")
	}
	prog, err := e.cel.Program(checked, opts...)
	if err != nil {
		return nil, src.at(1, 0, err.Error(), "")
	}
	return &Program{prog: prog, src: src, keys: keysOf(checked)}, nil
}

// Bool answers the condition. Every variable must be given. An error means that
// it cannot be answered for these values (a map key that is not there, a number
// divided by zero, ErrCost): whoever asks treats that as "not met".
func (p *Program) Bool(vars map[string]any) (bool, error) {
	out, _, err := p.prog.Eval(activation(vars))
	if err != nil {
		if strings.Contains(err.Error(), "cost limit exceeded") {
			return false, fmt.Errorf("%w: %s", ErrCost, p.src.text)
		}
		return false, fmt.Errorf("evaluate %q: %w", p.src.text, err)
	}
	return out == types.True, nil
}

// String gives the condition as it was written.
func (p *Program) String() string { return p.src.text }

// activation hands the variables to CEL.
type activation map[string]any

// ResolveName gives a variable's value; a stage becomes the number that the
// stage constants have.
func (a activation) ResolveName(name string) (any, bool) {
	v, ok := a[name]
	if s, is := v.(leadv1.Stage); is {
		return types.Int(s), ok
	}
	return v, ok
}

// Parent is nil: there is one scope.
func (a activation) Parent() interpreter.Activation { return nil }

// sizes bounds what the schemas do not: they are the limits that ingest
// enforces on profiles and activities.
type sizes struct{}

const (
	maxText    = 2048
	maxEntries = 64
)

// EstimateSize answers the largest size of a field.
func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if n.ComputedSize() != nil {
		return nil
	}
	text := cost.RangedSizeEstimate(0, maxText)
	var size cost.SizeEstimate
	switch n.Type().Kind() {
	case types.StringKind, types.BytesKind:
		size = text
	case types.ListKind:
		size = cost.ListSizeEstimate(cost.RangedSizeEstimate(0, maxEntries), text)
	case types.MapKind:
		size = cost.MapSizeEstimate(cost.RangedSizeEstimate(0, maxEntries), text, text)
	default:
		return nil
	}
	return &size
}

// EstimateCallCost leaves functions to CEL's own table, where a cost that is
// not known counts as too much.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

func typeName(t *cel.Type) string {
	switch t.Kind() {
	case types.StringKind:
		return "a text"
	case types.IntKind, types.UintKind, types.DoubleKind:
		return "a number"
	case types.DynKind:
		return "a value of unknown type"
	default:
		return "a " + t.String()
	}
}

// far is a distance no name has.
const far = math.MaxInt
