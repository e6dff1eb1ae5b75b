package source

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/nurturehq/nurture/pkg/config"
)

// maxKeys lets a new key or secret in before the old one goes.
const maxKeys = 2

// KeySpec is a write key as it is written: sha256:<hex>, or a mapping that also
// says what people tell keys apart by.
type KeySpec struct {
	Sum             config.Text // sha256:<hex>
	Prefix, Created string
}

// UnmarshalYAML takes a text or {sha256, prefix, created}.
func (k *KeySpec) UnmarshalYAML(n *yaml.Node) error {
	k.Sum.Line, k.Sum.Column = n.Line, n.Column
	if n.Kind == yaml.ScalarNode {
		k.Sum.Value = n.Value
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := n.Content[i+1]
		switch name := n.Content[i].Value; name {
		case "sha256":
			k.Sum = config.Text{Value: "sha256:" + value.Value, Line: value.Line, Column: value.Column}
		case "prefix":
			k.Prefix = value.Value
		case "created":
			if _, err := time.Parse(time.DateOnly, value.Value); err != nil {
				return fmt.Errorf("created: expected a day like 2026-11-25, found %q", value.Value)
			}
			k.Created = value.Value
		default:
			return fmt.Errorf("unknown field %q of a key; expected sha256, prefix, created", name)
		}
	}
	return nil
}

func (r *reader) keys(name string, specs []KeySpec) []Key {
	if len(specs) > maxKeys {
		r.fail(specs[maxKeys].Sum, "source %s has %d keys: expected at most %d, the one in use and the one to come", name, len(specs), maxKeys)
	}
	keys := make([]Key, 0, len(specs))
	for _, k := range specs {
		digits, ok := strings.CutPrefix(k.Sum.Value, "sha256:")
		sum, err := hex.DecodeString(digits)
		if !ok || err != nil || len(sum) != sha256.Size {
			r.fail(k.Sum, "expected a key as sha256:<64 hex digits>, the output of: printf %%s \"$KEY\" | sha256sum")
			continue
		}
		keys = append(keys, Key{Prefix: k.Prefix, Created: k.Created, at: k.Sum, sum: [sha256.Size]byte(sum)})
	}
	return keys
}
