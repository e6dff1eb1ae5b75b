package fact

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/pkg/config"
)

// File is facts.yaml. What it lists is added to what is built in.
type File struct {
	Attributes []config.Text `yaml:"attributes" help:"attributes of people that conditions may read as lead.attributes[...]; no other one is"`
	Properties []config.Text `yaml:"properties" help:"properties of activities that conditions may read as activity.properties[...], beside those of pages and forms"`
}

// Known lists what conditions may know of people beside the usual facts. All else
// stays under the lead's key. It never changes.
type Known struct {
	attributes, properties map[string]bool
}

// ours are properties whose values the services set.
//
//nolint:gochecknoglobals // a constant
var ours = setOf("touch_id", "enrollment_id", "program", "step", "version", "template")

// usual are the properties of pages, forms, lists and mails that came back.
const usual = "url path name category form list bounce found_by clock"

// Builtin lists what everybody has: no attribute.
func Builtin() *Known {
	return &Known{attributes: map[string]bool{}, properties: setOf(strings.Fields(usual)...)}
}

// Parse reads facts.yaml. Its errors name line, column and what was expected.
func Parse(file string, raw []byte) (*Known, error) {
	var f File
	if err := config.DecodeYAML(file, raw, &f); err != nil {
		return nil, err
	}
	k := Builtin()
	return k, errors.Join(add(file, k.attributes, f.Attributes), add(file, k.properties, f.Properties))
}

// Attributes are the attributes that conditions may know, sorted.
func (k *Known) Attributes() []string { return slices.Sorted(maps.Keys(k.attributes)) }

// Properties are the properties that conditions may know, sorted.
func (k *Known) Properties() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for _, names := range []map[string]bool{ours, k.properties} {
			for name := range names {
				if !yield(name) {
					return
				}
			}
		}
	})
}

func add(file string, to map[string]bool, names []config.Text) error {
	var errs []error
	for _, n := range names {
		switch name := strings.TrimSpace(n.Value); {
		case name == "":
			errs = append(errs, config.Errorf(file, n.Line, n.Column, "a name is empty: expected one like plan"))
		case namesPerson(name):
			errs = append(errs, config.Errorf(file, n.Line, n.Column, "%q names something of one person, which stays sealed: take it out", name))
		default:
			to[name] = true
		}
	}
	return errors.Join(errs...)
}

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}
