package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// field is one field of a struct as YAML knows it.
type field struct {
	name   string
	index  []int
	help   string
	secret bool
}

// fieldsOf lists the fields of a struct in order, those of inlined structs in
// their place. Without a yaml tag a field has its name in lower case.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if f.Type.Kind() == reflect.Struct && slices.Contains(strings.Split(options, ","), "inline") {
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields = append(fields, inner)
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		fields = append(fields, field{name, []int{i}, f.Tag.Get("help"), f.Tag.Get("secret") == "true"})
	}
	return fields
}

func names(fields []field) []string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.name
	}
	return list
}

func (d *decoder) structure(p place, v reflect.Value) {
	if p.node.Kind != yaml.MappingNode {
		d.expected(p, "a mapping")
		return
	}
	fields := fieldsOf(v.Type())
	d.pairs(p, func(key, value *yaml.Node) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		if i < 0 {
			at := p
			at.node = key
			d.fail(at, fmt.Errorf("unknown field %q%s", clip(key.Value), suggestion(key.Value, names(fields))))
			return
		}
		d.value(p.field(key.Value, value), v.FieldByIndex(fields[i].index))
	})
}

func (d *decoder) mapping(p place, v reflect.Value) {
	if p.node.Kind != yaml.MappingNode {
		d.expected(p, "a mapping")
		return
	}
	t := v.Type()
	if v.IsNil() {
		v.Set(reflect.MakeMapWithSize(t, len(p.node.Content)/2))
	}
	d.pairs(p, func(key, value *yaml.Node) {
		at := p.field(key.Value, value)
		k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		d.value(place{key, p.path, at.depth}, k)
		d.value(at, e)
		v.SetMapIndex(k, e)
	})
}

// pairs visits the entries of a mapping: what is merged in with "<<" first, so
// that the mapping's own entries win. A repeated key is an error.
func (d *decoder) pairs(p place, visit func(key, value *yaml.Node)) {
	lines := map[string]int{}
	var own []*yaml.Node
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		key, value := p.node.Content[i], p.node.Content[i+1]
		if key.ShortTag() == "!!merge" {
			d.merge(p, value, visit)
			continue
		}
		if line, ok := lines[key.Value]; ok {
			d.fail(place{key, p.path, p.depth}, fmt.Errorf("%q is written twice; first in line %d", clip(key.Value), line))
			continue
		}
		lines[key.Value] = key.Line
		own = append(own, key, value)
	}
	for i := 0; i < len(own); i += 2 {
		visit(own[i], own[i+1])
	}
}

func (d *decoder) merge(p place, value *yaml.Node, visit func(key, value *yaml.Node)) {
	at := place{value, p.path, p.depth + 1}
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	if value.Kind != yaml.MappingNode || at.depth > maxDepth {
		d.fail(at, errors.New(`"<<" expects an alias of a mapping, e.g. "<<: *defaults"`))
		return
	}
	at.node = value
	d.pairs(at, visit)
}
