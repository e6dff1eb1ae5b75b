package source

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/nurturehq/nurture/pkg/config"
)

// Entry is what a new source is told to be.
type Entry struct {
	Name, Title string
	// Kind is the dialect of its webhooks; empty: it has a write key. What it must
	// be told in secret is in variables of the environment.
	Kind string
	// Options are settings of the dialect.
	Options map[string]string
	// Form gives it a form.
	Form bool
	// Key is its write key, when it has no kind.
	Key NewKey
}

// NewKey is a write key as it is entered.
type NewKey struct{ Sum, Prefix, Created string }

// Added gives sources.yaml with one more source; everything else in it stays,
// comments included.
func Added(file string, raw []byte, e Entry) ([]byte, error) {
	return edited(file, raw, func(sources *yaml.Node) error {
		if entry(sources, e.Name) != nil {
			return config.Errorf(file, 0, 0, "there is a source %q already", e.Name)
		}
		set(sources, e.Name, e.node())
		return nil
	})
}

// Secret is the variable that holds the secret of a source of webhooks; empty when
// its kind has none.
func (e Entry) Secret() string {
	if !Kinds()[e.Kind].Secret {
		return ""
	}
	return e.variable("secret")
}

// Chosen makes of random bytes a secret as its sender wants it; empty when it is not
// ours to choose.
func (e Entry) Chosen(random []byte) string {
	switch k := Kinds()[e.Kind]; {
	case !k.Chosen:
		return ""
	case k.Standard:
		return "whsec_" + base64.StdEncoding.EncodeToString(random)
	}
	return hex.EncodeToString(random)
}

// Credentials are the variables that hold what its kind must be told besides the
// secret, by name.
func (e Entry) Credentials() map[string]string {
	k, variables := Kinds()[e.Kind], map[string]string{}
	for _, name := range k.Needs {
		if slices.Contains(k.Credentials, name) {
			variables[name] = e.variable(name)
		}
	}
	return variables
}

func (e Entry) variable(what string) string {
	return strings.ToUpper(strings.ReplaceAll(e.Name+"_"+what, "-", "_"))
}

// hook adds what a source of webhooks has.
func (e Entry) hook(n *yaml.Node) *yaml.Node {
	set(n, "kind", text(e.Kind))
	if v := e.Secret(); v != "" {
		set(n, "secrets", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{mapping("env", v)}})
	}
	if all := e.Credentials(); len(all) > 0 {
		credentials := mapping()
		for _, name := range slices.Sorted(maps.Keys(all)) {
			set(credentials, name, mapping("env", all[name]))
		}
		set(n, "credentials", credentials)
	}
	if len(e.Options) > 0 {
		options := mapping()
		for _, name := range slices.Sorted(maps.Keys(e.Options)) {
			set(options, name, &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: e.Options[name]})
		}
		set(n, "options", options)
	}
	return n
}

func (e Entry) node() *yaml.Node {
	n := mapping()
	if e.Title != "" {
		set(n, "title", text(e.Title))
	}
	if e.Kind != "" {
		return e.hook(n)
	}
	set(n, "keys", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{e.Key.node()}})
	if e.Form {
		set(n, "form", mapping("activity", "form_submitted"))
	}
	return n
}

func (k NewKey) node() *yaml.Node {
	n := mapping("sha256", k.Sum, "prefix", k.Prefix, "created", k.Created)
	n.Style = yaml.FlowStyle
	return n
}

// Rotated gives sources.yaml with a new write key before the present one.
func Rotated(file string, raw []byte, name string, key NewKey) ([]byte, error) {
	return onKeys(file, raw, name, func(keys *yaml.Node) error {
		if len(keys.Content) >= maxKeys {
			return config.Errorf(file, keys.Line, keys.Column, "source %s has %d keys already: drop the old one first, with --drop-old", name, len(keys.Content))
		}
		keys.Content = append([]*yaml.Node{key.node()}, keys.Content...)
		return nil
	})
}

// Dropped gives sources.yaml without the older of a source's two write keys.
func Dropped(file string, raw []byte, name string) ([]byte, error) {
	return onKeys(file, raw, name, func(keys *yaml.Node) error {
		if len(keys.Content) < maxKeys {
			return config.Errorf(file, keys.Line, keys.Column, "source %s has one key: there is no older one to drop", name)
		}
		keys.Content = keys.Content[:1]
		return nil
	})
}

func onKeys(file string, raw []byte, name string, change func(keys *yaml.Node) error) ([]byte, error) {
	return edited(file, raw, func(sources *yaml.Node) error {
		src := entry(sources, name)
		if src == nil {
			return config.Errorf(file, 0, 0, "there is no source %q", name)
		}
		keys := entry(src, "keys")
		if keys == nil || keys.Kind != yaml.SequenceNode {
			return config.Errorf(file, src.Line, src.Column, "source %s has no write keys; secrets of webhooks are changed where they are kept: put the new one first and both in secrets:", name)
		}
		return change(keys)
	})
}

// edited changes the sources of a file that is right or empty, and must be right
// after it.
func edited(file string, raw []byte, change func(sources *yaml.Node) error) ([]byte, error) {
	doc := yaml.Node{}
	if err := yaml.Unmarshal(raw, &doc); err == nil && len(doc.Content) == 0 { // comments at most
		raw = append(raw, "\nsources:\n"...)
	} else if _, err := Parse(file, raw, nil); err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	sources := entry(doc.Content[0], "sources")
	if sources.Kind != yaml.MappingNode {
		*sources = yaml.Node{Kind: yaml.MappingNode}
	}
	if err := change(sources); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, fmt.Errorf("write %s: %w", file, err)
	}
	if _, err := Parse(file, out.Bytes(), nil); err != nil {
		return nil, fmt.Errorf("after the change: %w", err)
	}
	return out.Bytes(), nil
}

// entry finds a value of a mapping; nil when there is none.
func entry(m *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i+1]
		}
	}
	return nil
}

func set(m *yaml.Node, name string, value *yaml.Node) {
	m.Content = append(m.Content, text(name), value)
}

func text(value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: value} }

func mapping(pairs ...string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		set(n, pairs[i], text(pairs[i+1]))
	}
	return n
}
