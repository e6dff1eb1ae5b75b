package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// print writes every setting: flag, default, variable, meaning.
func (o Options) print(settings []setting) {
	out, name := o.Help, o.Name
	if out == nil {
		out = os.Stdout
	}
	if name == "" {
		name = filepath.Base(os.Args[0])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s [settings]\n\n", name)
	b.WriteString("Each setting comes from its default, then the file, then its variable, then its flag; the last one wins.\n\n")
	fmt.Fprintf(&b, "  --config FILE\n      YAML file with settings%s\n",
		variable(envName(o.EnvPrefix, "config"), o.File))
	for _, s := range settings {
		s.print(&b)
	}
	_, _ = fmt.Fprint(out, b.String())
}

func (s setting) print(b *strings.Builder) {
	if !s.text {
		fmt.Fprintf(b, "  %s\n      %s (in the file only)\n", s.yaml+":", s.help)
		return
	}
	text := toText(s.value)
	if s.secret && text != "" {
		text = "(hidden)"
	}
	fmt.Fprintf(b, "  --%s\n      %s%s\n", s.flag, s.help, variable(s.env, text))
}

// variable describes a setting's other source and its default.
func variable(env, text string) string {
	if text == "" {
		return " (" + env + ")"
	}
	return " (" + env + ", default " + text + ")"
}
