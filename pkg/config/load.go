package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
)

// ErrHelp says that --help was asked for and the help printed.
var ErrHelp = flag.ErrHelp

// Options say where settings come from besides the defaults.
type Options struct {
	// File is read when it is not empty; --config and <EnvPrefix>_CONFIG name
	// another one.
	File string
	// EnvPrefix begins the names of variables, e.g. "SCORING".
	EnvPrefix string
	// Args are the command line without the program's name.
	Args []string
	// Name is the program's name in the help. Default: that of the process.
	Name string
	// Help is where --help is printed. Default os.Stdout.
	Help io.Writer
}

// Load fills the struct that cfg points to, which holds the defaults: first
// from the file, then the environment, then the flags. When the struct has a
// method Validate() error it is called last. With --help the settings are
// printed and ErrHelp is returned.
func Load(cfg any, opts Options) error {
	v := reflect.ValueOf(cfg)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("load settings: cfg is a %T, it must be a pointer to a struct", cfg)
	}
	settings := settingsOf(v.Elem(), opts.EnvPrefix, nil)
	flags, err := parseFlags(opts.Args, settings)
	if err != nil {
		return err
	}
	if flags.help {
		opts.print(settings)
		return ErrHelp
	}
	if err := loadFile(cfg, opts, flags); err != nil {
		return err
	}
	if err := loadEnv(settings); err != nil {
		return err
	}
	if err := flags.apply(settings); err != nil {
		return err
	}
	if checked, ok := cfg.(interface{ Validate() error }); ok {
		return checked.Validate()
	}
	return nil
}

func loadFile(cfg any, opts Options, flags flags) error {
	file := opts.File
	if v := os.Getenv(envName(opts.EnvPrefix, "config")); v != "" {
		file = v
	}
	if flags.config != "" {
		file = flags.config
	}
	if file == "" {
		return nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	return DecodeYAML(file, raw, cfg)
}

func loadEnv(settings []setting) error {
	var errs []error
	for _, s := range settings {
		text, ok := os.LookupEnv(s.env)
		if !ok || !s.text || text == "" {
			continue
		}
		if err := fromText(s.value, text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.env, err))
		}
	}
	return errors.Join(errs...)
}

// setting is one leaf of the struct.
type setting struct {
	flag, env, yaml string
	help            string
	secret          bool
	// text: a flag and a variable can hold it; otherwise only the file can.
	text  bool
	value reflect.Value
}

// settingsOf lists the leaves of a struct in order. path are the names above it.
func settingsOf(v reflect.Value, prefix string, path []string) []setting {
	var list []setting
	for _, f := range fieldsOf(v.Type()) {
		value := v.FieldByIndex(f.index)
		names := append(append([]string{}, path...), f.name)
		text := hasText(value)
		if !text && value.Kind() == reflect.Struct {
			list = append(list, settingsOf(value, prefix, names)...)
			continue
		}
		under := strings.Join(names, "_")
		list = append(list, setting{
			flag: strings.ReplaceAll(under, "_", "-"), env: envName(prefix, under), yaml: strings.Join(names, "."),
			help: f.help, secret: f.secret, text: text, value: value,
		})
	}
	return list
}

func envName(prefix, name string) string {
	if prefix != "" {
		name = prefix + "_" + name
	}
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}
