package expr

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"github.com/nurturehq/nurture/pkg/stage"
)

// Error is one thing that is wrong with a condition, and where.
type Error struct {
	File string
	// Line and Column count from 1 and point into File.
	Line, Column int
	// Text is the line of the condition, Caret the place in it, from 0.
	Text  string
	Caret int
	// Message says what is wrong, Hint what to do; Hint may be empty.
	Message string
	Hint    string
}

// Error gives "file:line:column: message; hint", the condition and a caret.
func (e *Error) Error() string {
	msg := e.Message
	if e.Hint != "" {
		msg += "; " + e.Hint
	}
	return fmt.Sprintf("%s:%d:%d: %s\n  | %s\n  | %s^", e.File, e.Line, e.Column, msg, e.Text, strings.Repeat(".", e.Caret))
}

// source is a condition and where it stands.
type source struct {
	file      string
	line, col int
	text      string
}

// at makes the error for a place in the condition: row from 1, offset from 0.
func (s source) at(row, offset int, message, hint string) *Error {
	lines := strings.Split(s.text, "\n")
	row = max(1, min(row, len(lines)))
	text := strings.TrimRight(lines[row-1], "\r ")
	e := &Error{File: s.file, Line: s.line + row - 1, Column: s.col + offset, Text: text, Message: message, Hint: hint}
	e.Caret = max(0, min(offset, len(text)))
	return e
}

func (e *Env) describe(src source, parsed *cel.Ast, iss *cel.Issues) error {
	var errs []error
	for _, one := range iss.Errors() {
		msg := plain(one.Message)
		offset := one.Location.Column()
		hint := e.names.hint(one.Message, operand(parsed, one.ExprID))
		errs = append(errs, src.at(one.Location.Line(), offset, msg, hint))
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

var (
	undefinedField = regexp.MustCompile(`undefined field '([^']+)'`)
	undeclared     = regexp.MustCompile(`undeclared reference to '([^']+)'`)
	noOverload     = regexp.MustCompile(`no matching overload for '([^']+)' applied to '\(([^)]*)\)'`)
	container      = regexp.MustCompile(` \(in container '[^']*'\)`)
)

// plain takes CEL's inner words out of its messages.
func plain(msg string) string {
	msg = container.ReplaceAllString(msg, "")
	if m := noOverload.FindStringSubmatch(msg); m != nil {
		if op, ok := operators()[m[1]]; ok {
			return fmt.Sprintf("%s does not work between %s", op, strings.ReplaceAll(m[2], ", ", " and "))
		}
		return fmt.Sprintf("%s does not work with (%s)", m[1], m[2])
	}
	if m := undeclared.FindStringSubmatch(msg); m != nil {
		return fmt.Sprintf("unknown name %q", m[1])
	}
	if m := undefinedField.FindStringSubmatch(msg); m != nil {
		return fmt.Sprintf("unknown field %q", m[1])
	}
	return strings.TrimPrefix(msg, "Syntax error: ")
}

func operators() map[string]string {
	return map[string]string{
		"_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "_&&_": "&&",
		"_||_": "||", "!_": "!", "_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/", "@in": "in", "_[_]": "[ ]",
	}
}

// operand names the variable whose field the expression id reads; "" when the
// id is no such thing.
func operand(parsed *cel.Ast, id int64) string {
	if parsed == nil {
		return ""
	}
	var name string
	visit := ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == id && e.Kind() == ast.SelectKind {
			if of := e.AsSelect().Operand(); of.Kind() == ast.IdentKind {
				name = of.AsIdent()
			}
		}
	})
	ast.PostOrderVisit(parsed.NativeRep().Expr(), visit)
	return name
}

// nameBook knows the names a condition may use, for hints.
type nameBook struct {
	// roots are variables, constants and functions.
	roots []string
	// fields are those of each variable that is a message.
	fields map[string][]string
	stages bool
}

func newNameBook(vars []Var) nameBook {
	b := nameBook{fields: map[string][]string{}}
	for _, v := range vars {
		b.roots = append(b.roots, v.Name)
		if v.Message != nil {
			fields := v.Message.ProtoReflect().Descriptor().Fields()
			for i := range fields.Len() {
				b.fields[v.Name] = append(b.fields[v.Name], string(fields.Get(i).Name()))
			}
		}
		if v.Message == nil && v.Kind == Stage {
			b.stages = true
			b.roots = append(b.roots, stage.Names()...)
		}
	}
	return b
}

// functions are the ones people reach for; the others are found by CEL itself.
func functions() []string {
	return []string{
		"size", "has", "contains", "startsWith", "endsWith", "matches", "lowerAscii", "upperAscii",
		"trim", "split", "exists", "all", "filter", "map", "timestamp", "duration", "int", "double", "string",
	}
}

func (b nameBook) hint(msg, variable string) string {
	if m := undefinedField.FindStringSubmatch(msg); m != nil {
		return b.fieldHint(m[1], variable)
	}
	if m := undeclared.FindStringSubmatch(msg); m != nil {
		return b.rootHint(m[1])
	}
	if m := noOverload.FindStringSubmatch(msg); m != nil && b.stages && strings.Contains(m[2], "int") && strings.Contains(m[2], "string") {
		return "put text in quotes and leave numbers and stages bare, as in stage == NURTURING"
	}
	return ""
}

func (b nameBook) fieldHint(name, variable string) string {
	known := b.fields[variable]
	if known == nil {
		for _, v := range b.roots {
			known = append(known, b.fields[v]...)
		}
	}
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return ""
	}
	return "known are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

func (b nameBook) rootHint(name string) string {
	if near := Nearest(name, append(slices.Clone(b.roots), functions()...)); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	for _, v := range b.roots {
		if slices.Contains(b.fields[v], name) {
			return fmt.Sprintf("did you mean %q?", v+"."+name)
		}
	}
	return "known are " + strings.Join(b.roots, ", ")
}

// Nearest gives the known name that a misspelt one most likely means: at most a
// third of its letters differ. Empty when there is none.
func Nearest(name string, known []string) string {
	best, least := "", far
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if least > max(1, (len(name)+1)/3) {
		return ""
	}
	return best
}

// distance is Levenshtein's: letters to add, drop or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
