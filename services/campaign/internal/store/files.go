package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/pkg/expr"

	"github.com/nurturehq/nurture/services/campaign/internal/letter"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

// Files say where programs and templates are written.
type Files struct {
	// Programs is a directory of *.yaml, Templates one of <name>.html.liquid and
	// <name>.txt.liquid.
	Programs, Templates string
	// Links are the constants templates may use.
	Links map[string]string
	// TimeScale multiplies every wait.
	TimeScale float64
}

// Read makes the bundles of all programs in the directory, in the order of
// their file names.
func (f Files) Read() ([]program.Bundle, error) {
	templates, err := f.templates()
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(f.Programs, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list programs in %s: %w", f.Programs, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there are no programs in %q: set programs to a directory with at least one .yaml file, e.g. deploy/example/programs", f.Programs)
	}
	slices.Sort(names)
	bundles := make([]program.Bundle, 0, len(names))
	for _, name := range names {
		raw, err := os.ReadFile(name) //nolint:gosec // the operator names the directory
		if err != nil {
			return nil, fmt.Errorf("read program: %w", err)
		}
		bundles = append(bundles, program.Bundle{
			File: name, YAML: string(raw), Templates: used(name, raw, templates), Links: f.Links, TimeScale: f.TimeScale,
		})
	}
	return bundles, nil
}

// used keeps the templates that a program names, so that another template's
// change does not change its version. A program that names an unknown one keeps
// all: the error then tells what there is.
func used(file string, raw []byte, templates map[string]letter.Source) map[string]letter.Source {
	names, err := program.TemplatesOf(file, raw)
	if err != nil {
		return templates
	}
	mine := map[string]letter.Source{}
	for _, name := range names {
		src, ok := templates[name]
		if !ok {
			return templates
		}
		mine[name] = src
	}
	return mine
}

const (
	htmlEnd = ".html.liquid"
	textEnd = ".txt.liquid"
)

func (f Files) templates() (map[string]letter.Source, error) {
	entries, err := os.ReadDir(f.Templates)
	if err != nil {
		return nil, fmt.Errorf("read templates: %w (set templates to a directory, e.g. deploy/example/templates)", err)
	}
	all := map[string]letter.Source{}
	for _, e := range entries {
		name, isHTML := strings.CutSuffix(e.Name(), htmlEnd)
		if !isHTML {
			var isText bool
			if name, isText = strings.CutSuffix(e.Name(), textEnd); !isText {
				continue
			}
		}
		raw, err := os.ReadFile(filepath.Join(f.Templates, e.Name())) //nolint:gosec // the operator names the directory
		if err != nil {
			return nil, fmt.Errorf("read template: %w", err)
		}
		src := all[name]
		src.Name, src.Path = name, filepath.Join(f.Templates, name)
		if isHTML {
			src.HTML = string(raw)
		} else {
			src.Text = string(raw)
		}
		all[name] = src
	}
	return all, nil
}

// Lint compiles all programs; the error joins everything that is wrong.
func (f Files) Lint() ([]*expr.Program, error) {
	bundles, err := f.Read()
	if err != nil {
		return nil, err
	}
	_, programs, err := compile(bundles)
	if err != nil {
		return nil, err
	}
	var conditions []*expr.Program
	for _, p := range programs {
		conditions = append(conditions, p.Conditions...)
	}
	return conditions, nil
}
