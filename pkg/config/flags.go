package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// flags are what the command line says, still as text.
type flags struct {
	help   bool
	config string
	values []flagValue
}

type flagValue struct {
	name, text string
}

// parseFlags reads --name value, --name=value and, for yes-or-no settings,
// --name alone.
func parseFlags(args []string, settings []setting) (flags, error) {
	var f flags
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
		if name == arg || name == "" {
			return f, fmt.Errorf("unexpected argument %q; settings begin with --, see --help", arg)
		}
		name, text, given := strings.Cut(name, "=")
		if name == "help" || name == "h" {
			f.help = true
			continue
		}
		s, err := find(name, settings)
		if err != nil {
			return f, err
		}
		switch {
		case given:
		case s != nil && s.value.Kind() == reflect.Bool:
			text = "true"
		case len(args) == 0:
			return f, fmt.Errorf("--%s needs a value", name)
		default:
			text, args = args[0], args[1:]
		}
		if s == nil {
			f.config = text
			continue
		}
		f.values = append(f.values, flagValue{name, text})
	}
	return f, nil
}

// find answers the setting of a flag; nil for --config.
func find(name string, settings []setting) (*setting, error) {
	known := []string{"config", "help"}
	for i, s := range settings {
		if s.flag == name && s.text {
			return &settings[i], nil
		}
		if s.text {
			known = append(known, s.flag)
		}
	}
	if name == "config" {
		return nil, nil
	}
	if near := nearest(name, known); near != "" {
		return nil, fmt.Errorf("unknown setting --%s; did you mean --%s?", name, near)
	}
	return nil, fmt.Errorf("unknown setting --%s; --help lists all", name)
}

func (f flags) apply(settings []setting) error {
	var errs []error
	for _, given := range f.values {
		i := slices.IndexFunc(settings, func(s setting) bool { return s.flag == given.name })
		if err := fromText(settings[i].value, given.text); err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", given.name, err))
		}
	}
	return errors.Join(errs...)
}
