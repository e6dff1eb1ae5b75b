package program

import (
	"errors"

	"gopkg.in/yaml.v3"

	"github.com/nurturehq/nurture/pkg/config"
)

// paper is the YAML file as it was written: it knows where everything stands.
type paper struct {
	file string
	root *yaml.Node
	errs []error
}

func newPaper(file string, raw []byte) *paper {
	p := &paper{file: file, root: &yaml.Node{}}
	// What is wrong with the YAML itself, the strict decoder has said before.
	if err := yaml.Unmarshal(raw, p.root); err != nil || len(p.root.Content) == 0 {
		p.root = &yaml.Node{Line: 1, Column: 1}
		return p
	}
	p.root = p.root.Content[0]
	return p
}

// at finds the place of a path of keys (string) and indices (int); of the
// deepest part that exists when the rest is not written.
func (p *paper) at(path ...any) (line, column int) {
	node := p.root
	for _, part := range path {
		next := child(node, part)
		if next == nil {
			break
		}
		node = next
	}
	return max(1, node.Line), max(1, node.Column)
}

// text is the place where the text of a scalar begins: after a quote, or on the
// line below for a block.
func (p *paper) text(path ...any) (line, column int) {
	node := p.root
	for _, part := range path {
		if node = child(node, part); node == nil {
			return p.at(path...)
		}
	}
	switch node.Style {
	case yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle:
		return node.Line, node.Column + 1
	case yaml.LiteralStyle, yaml.FoldedStyle:
		return node.Line + 1, 1
	default:
		return node.Line, node.Column
	}
}

func child(node *yaml.Node, part any) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch part := part.(type) {
	case int:
		if node.Kind == yaml.SequenceNode && part < len(node.Content) {
			return node.Content[part]
		}
	case string:
		if node.Kind != yaml.MappingNode {
			return nil
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == part {
				return node.Content[i+1]
			}
		}
	}
	return nil
}

// fail notes what is wrong at a path.
func (p *paper) fail(path []any, format string, args ...any) {
	line, column := p.at(path...)
	p.errs = append(p.errs, config.Errorf(p.file, line, column, format, args...))
}

func (p *paper) add(err error) {
	if err != nil {
		p.errs = append(p.errs, err)
	}
}

func (p *paper) err() error { return errors.Join(p.errs...) }

func path(parts ...any) []any { return parts }
