package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"

	"gopkg.in/yaml.v3"
)

// Limits of a file: what a person writes stays far below them, what a machine
// made to hurt us does not.
const (
	maxErrors = 10
	maxDepth  = 64
	maxNodes  = 200_000
)

// Text is a text that knows where in its file it was written, for errors found
// only later, e.g. by a rule compiler. In YAML it is a plain scalar.
type Text struct {
	// Value is the text.
	Value string
	// Line and Column are where its first letter stands, counted from 1.
	Line, Column int
}

// DecodeYAML decodes one YAML document into a pointer, strictly: an unknown or
// repeated field, a wrong type, or a second document is an *Error with the
// place and what was expected there; up to 10 of them are joined. file is used
// in errors only. An empty document changes nothing, and so does a field that
// is not there: defaults stay.
func DecodeYAML(file string, raw []byte, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("decode %s: into is a %T, it must be a pointer", file, into)
	}
	var doc, second yaml.Node
	parser := yaml.NewDecoder(bytes.NewReader(raw))
	if err := parser.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return syntaxError(file, raw, err)
	}
	if err := parser.Decode(&second); err == nil {
		return Errorf(file, second.Line, second.Column, "expected one document, found a second")
	} else if !errors.Is(err, io.EOF) {
		return syntaxError(file, raw, err)
	}
	d := &decoder{file: file, raw: raw}
	d.value(place{node: doc.Content[0]}, v.Elem())
	if len(d.errs) == 1 {
		return d.errs[0]
	}
	return errors.Join(d.errs...)
}

// decoder walks nodes and values side by side, and collects what is wrong.
type decoder struct {
	file  string
	raw   []byte
	errs  []error
	nodes int
}

// place is a node and the way to it, e.g. "rules[2].points".
type place struct {
	node  *yaml.Node
	path  string
	depth int
}

func (p place) field(name string, n *yaml.Node) place {
	if p.path != "" {
		name = p.path + "." + name
	}
	return place{n, name, p.depth + 1}
}

func (p place) item(i int, n *yaml.Node) place {
	return place{n, fmt.Sprintf("%s[%d]", p.path, i), p.depth + 1}
}

// fail notes what is wrong at a place.
func (d *decoder) fail(p place, err error) {
	if len(d.errs) >= maxErrors {
		return
	}
	if known, ok := errors.AsType[*Error](err); ok {
		if known.File == "" {
			known.File = d.file
		}
		d.errs = append(d.errs, known)
		return
	}
	text := err.Error()
	if p.path != "" {
		text = p.path + ": " + text
	}
	d.errs = append(d.errs, &Error{File: d.file, Line: p.node.Line, Column: p.node.Column, Text: text, Err: err})
}

// expected notes that something else stands at a place.
func (d *decoder) expected(p place, what string) {
	d.fail(p, fmt.Errorf("expected %s, found %s", what, found(p.node)))
}

// value decodes what stands at a place into v, which can be set.
func (d *decoder) value(p place, v reflect.Value) {
	if d.nodes++; d.nodes > maxNodes || p.depth > maxDepth {
		if d.nodes <= maxNodes+1 || p.depth == maxDepth+1 {
			d.fail(p, errors.New("nested too deep or too large"))
		}
		return
	}
	for p.node.Kind == yaml.AliasNode {
		p.node = p.node.Alias
	}
	switch {
	case v.Type() == reflect.TypeFor[yaml.Node]():
		v.Set(reflect.ValueOf(*p.node))
	case v.Type() == reflect.TypeFor[Text]():
		d.text(p, v)
	case v.Kind() == reflect.Pointer:
		d.pointer(p, v)
	case d.custom(p, v):
	case isScalar(v):
		d.scalar(p, v)
	default:
		d.composite(p, v)
	}
}

func (d *decoder) composite(p place, v reflect.Value) {
	if p.node.Kind == yaml.ScalarNode && p.node.ShortTag() == "!!null" && v.Kind() != reflect.Interface {
		return // "key:" with nothing behind it: as if it were not there
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(p, v)
	case reflect.Map:
		d.mapping(p, v)
	case reflect.Slice:
		d.list(p, v)
	case reflect.Interface:
		var x any
		if err := p.node.Decode(&x); err != nil {
			d.fail(p, err)
		} else if x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		d.fail(p, fmt.Errorf("a %s cannot be written in YAML", v.Type()))
	}
}

func (d *decoder) pointer(p place, v reflect.Value) {
	if p.node.ShortTag() == "!!null" {
		v.SetZero()
		return
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	d.value(p, v.Elem())
}

// text keeps where a text was written. A block scalar begins in the line after
// its indicator, a quoted one after its quote.
func (d *decoder) text(p place, v reflect.Value) {
	if p.node.Kind != yaml.ScalarNode || p.node.ShortTag() == "!!null" {
		d.expected(p, "text")
		return
	}
	t := Text{Value: p.node.Value, Line: p.node.Line, Column: p.node.Column}
	switch p.node.Style {
	case yaml.LiteralStyle, yaml.FoldedStyle:
		t.Line++
		t.Column = indent(d.raw, t.Line) + 1
	case yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle:
		t.Column++
	}
	v.Set(reflect.ValueOf(t))
}

// custom decodes types that decode themselves.
func (d *decoder) custom(p place, v reflect.Value) bool {
	if !v.CanAddr() {
		return false
	}
	switch own := v.Addr().Interface().(type) {
	case yaml.Unmarshaler:
		if err := own.UnmarshalYAML(p.node); err != nil {
			d.fail(p, err)
		}
		return true
	case encoding.TextUnmarshaler:
		if p.node.Kind != yaml.ScalarNode || p.node.ShortTag() == "!!null" {
			d.expected(p, "text")
		} else if err := own.UnmarshalText([]byte(p.node.Value)); err != nil {
			d.fail(p, fmt.Errorf("%q: %w", clip(p.node.Value), err))
		}
		return true
	}
	return false
}

func (d *decoder) scalar(p place, v reflect.Value) {
	if p.node.Kind != yaml.ScalarNode || !fits(p.node.ShortTag(), v) {
		d.expected(p, expectation(v.Type()))
		return
	}
	if err := parse(v, p.node.Value); err != nil {
		d.fail(p, fmt.Errorf("%w, found %s", err, found(p.node)))
	}
}

// fits reports whether a YAML type may stand where v is wanted. Any scalar
// may where text is wanted: a version "1.10" must not lose its zero.
func fits(tag string, v reflect.Value) bool {
	if isDuration(v.Type()) {
		return tag != "!!null"
	}
	switch v.Kind() {
	case reflect.Bool:
		return tag == "!!bool"
	case reflect.String:
		return tag != "!!null"
	case reflect.Float32, reflect.Float64:
		return tag == "!!float" || tag == "!!int"
	default:
		return tag == "!!int"
	}
}

func (d *decoder) list(p place, v reflect.Value) {
	if p.node.Kind != yaml.SequenceNode {
		d.expected(p, "a list")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(p.node.Content), len(p.node.Content))
	for i, n := range p.node.Content {
		d.value(p.item(i, n), list.Index(i))
	}
	v.Set(list)
}
