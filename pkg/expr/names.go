package expr

import (
	"errors"
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	celop "cel.dev/cel-go/common/operators"
)

// Names are the keys that the maps of conditions may have; nothing else gets
// into them, so a condition on another one never holds.
type Names struct {
	// Attributes are those of lead.attributes, Properties those of activity.properties.
	Attributes, Properties []string
}

// Unlisted says which keys a condition asks for that are not among the names,
// each as an *Error that points into the file; nil when all are.
func (p *Program) Unlisted(n Names) error {
	var errs []error
	for _, k := range p.keys {
		listed := n.Attributes
		if k.of == properties {
			listed = n.Properties
		}
		if slices.Contains(listed, k.name) {
			continue
		}
		hint := "list it in facts.yaml"
		if near := Nearest(k.name, listed); near != "" {
			hint = fmt.Sprintf("did you mean %q? Else list it in facts.yaml", near)
		}
		errs = append(errs, p.src.at(k.row, k.offset, fmt.Sprintf("%s never has %q", k.of, k.name), hint))
	}
	return errors.Join(errs...)
}

// The maps whose keys are known.
const (
	attributes = "lead.attributes"
	properties = "activity.properties"
)

// key is one that a condition asks a map for, and where.
type key struct {
	of, name    string
	row, offset int
}

// keysOf finds the keys: lead.attributes["plan"], lead.attributes.plan and
// "plan" in lead.attributes.
func keysOf(checked *cel.Ast) []key {
	var keys []key
	add := func(e, of ast.Expr, name string) {
		if of := keyed(of); of != "" {
			at := checked.NativeRep().SourceInfo().GetStartLocation(e.ID())
			keys = append(keys, key{of: of, name: name, row: at.Line(), offset: at.Column()})
		}
	}
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			add(e, e.AsSelect().Operand(), e.AsSelect().FieldName())
		case ast.CallKind:
			args := e.AsCall().Args()
			switch e.AsCall().FunctionName() {
			case celop.Index:
				if name, ok := literal(args[1]); ok {
					add(e, args[0], name)
				}
			case celop.In:
				if name, ok := literal(args[0]); ok {
					add(e, args[1], name)
				}
			}
		default:
		}
	}))
	return keys
}

// keyed names a map whose keys are known; "" for all else.
func keyed(e ast.Expr) string {
	if e.Kind() != ast.SelectKind || e.AsSelect().Operand().Kind() != ast.IdentKind {
		return ""
	}
	if name := e.AsSelect().Operand().AsIdent() + "." + e.AsSelect().FieldName(); name == attributes || name == properties {
		return name
	}
	return ""
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().Value().(string)
	return text, ok
}
