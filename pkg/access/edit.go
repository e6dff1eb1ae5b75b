package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/nurturehq/nurture/pkg/config"
)

// Entry is a token as it is entered in an access file.
type Entry struct {
	Name string
	// Roles are those of the name. Empty: the name is there already and keeps
	// its roles.
	Roles []Role
	// Expires is the last day on which the token is good, like 2027-11-25; empty:
	// it does not expire.
	Expires string
	// Created is today.
	Created string
}

// Mint makes a token for a name. It can be told from others by its beginning,
// and by whoever looks for secrets where none should be.
func Mint(name string) string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails: the runtime ends the process instead
	return "nt_" + name + "_" + hex.EncodeToString(random)
}

// Added gives an access file with one more token; everything else in it stays,
// comments included. An empty file is a good beginning.
func Added(file string, raw []byte, e Entry, token string) ([]byte, error) {
	return edited(file, raw, func(names *yaml.Node) error {
		spec := value(names, e.Name)
		switch {
		case spec == nil && len(e.Roles) == 0:
			return config.Errorf(file, 0, 0, "there is no %q yet: say what it may do, with --role", e.Name)
		case spec == nil:
			spec = mapping()
			set(names, e.Name, spec)
			set(spec, "roles", list(Names(e.Roles)))
			set(spec, "tokens", &yaml.Node{Kind: yaml.SequenceNode})
		case len(e.Roles) > 0 && !slices.Equal(Names(e.Roles), texts(value(spec, "roles"))):
			return config.Errorf(file, spec.Line, spec.Column, "%s has the roles %s already: leave --role out to give it one more token, or edit the file",
				e.Name, strings.Join(texts(value(spec, "roles")), ", "))
		}
		tokens := value(spec, "tokens")
		if tokens == nil || tokens.Kind != yaml.SequenceNode {
			tokens = &yaml.Node{Kind: yaml.SequenceNode}
			set(spec, "tokens", tokens)
		}
		if len(tokens.Content) >= maxTokens {
			return config.Errorf(file, tokens.Line, tokens.Column, "%s has %d tokens already: revoke the old one first", e.Name, len(tokens.Content))
		}
		tokens.Content = append([]*yaml.Node{e.node(token)}, tokens.Content...)
		return nil
	})
}

func (e Entry) node(token string) *yaml.Node {
	sum := sha256.Sum256([]byte(token))
	prefix := token[:min(len(token), len("nt_")+len(e.Name)+len("_1234"))]
	n := mapping("sha256", hex.EncodeToString(sum[:]), "prefix", prefix, "created", e.Created)
	if e.Expires != "" {
		set(n, "expires", text(e.Expires))
	}
	n.Style = yaml.FlowStyle
	return n
}

// Revoked gives an access file without the tokens whose prefix is given, or,
// when it is the name of a holder, without the holder. It is an error when
// nothing is revoked.
func Revoked(file string, raw []byte, which string) ([]byte, error) {
	return edited(file, raw, func(names *yaml.Node) error {
		if drop(names, which) {
			return nil
		}
		found := 0
		for i := 1; i < len(names.Content); i += 2 {
			tokens := value(names.Content[i], "tokens")
			if tokens == nil {
				continue
			}
			before := len(tokens.Content)
			tokens.Content = slices.DeleteFunc(tokens.Content, func(t *yaml.Node) bool {
				p := value(t, "prefix")
				return p != nil && p.Value == which
			})
			found += before - len(tokens.Content)
		}
		if found == 0 {
			return config.Errorf(file, 0, 0, "no name and no token's prefix is %q: nurture access list shows them", which)
		}
		return nil
	})
}

// edited changes a file that is right, and must be right after it.
func edited(file string, raw []byte, change func(names *yaml.Node) error) ([]byte, error) {
	if _, err := Parse(file, raw); err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if doc.Kind == 0 || doc.Content[0].Kind != yaml.MappingNode {
		doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{mapping()}}
	}
	names := value(doc.Content[0], "access")
	if names == nil || names.Kind != yaml.MappingNode {
		drop(doc.Content[0], "access")
		names = mapping()
		set(doc.Content[0], "access", names)
	}
	if err := change(names); err != nil {
		return nil, err
	}
	names.Style = 0
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, fmt.Errorf("write %s: %w", file, err)
	}
	if _, err := Parse(file, out.Bytes()); err != nil {
		return nil, fmt.Errorf("after the change: %w", err)
	}
	return out.Bytes(), nil
}

// Today is the day that a token made now is entered with.
func Today(now time.Time) string { return now.UTC().Format(time.DateOnly) }

// value finds a value of a mapping; nil when there is none.
func value(m *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i+1]
		}
	}
	return nil
}

// drop takes an entry out of a mapping and reports whether there was one.
func drop(m *yaml.Node, name string) bool {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			m.Content = slices.Delete(m.Content, i, i+2)
			return true
		}
	}
	return false
}

func set(m *yaml.Node, name string, value *yaml.Node) {
	m.Content = append(m.Content, text(name), value)
}

func text(value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: value} }

func texts(n *yaml.Node) []string {
	if n == nil {
		return nil
	}
	list := make([]string, len(n.Content))
	for i, c := range n.Content {
		list[i] = c.Value
	}
	return list
}

func list(values []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, v := range values {
		n.Content = append(n.Content, text(v))
	}
	return n
}

func mapping(pairs ...string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		set(n, pairs[i], text(pairs[i+1]))
	}
	return n
}
