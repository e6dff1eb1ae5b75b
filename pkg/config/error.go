package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Error is what is wrong at one place of a file.
type Error struct {
	File string
	// Line and Column count from 1; 0 when they are not known.
	Line, Column int
	// Text says what was expected.
	Text string
	// Err is the cause, for errors.Is; nil when Text is all.
	Err error
}

// Error writes "file:line:column: text".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		b.WriteString(":" + strconv.Itoa(e.Line))
		if e.Column > 0 {
			b.WriteString(":" + strconv.Itoa(e.Column))
		}
	}
	return b.String() + ": " + e.Text
}

// Unwrap answers the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error. A %w in the format becomes its cause.
func Errorf(file string, line, column int, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{File: file, Line: line, Column: column, Text: err.Error(), Err: errors.Unwrap(err)}
}

// syntaxError gives a parser's error its place. The parser tells the line in
// its text only; the column is where that line's text begins.
func syntaxError(file string, raw []byte, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, after, ok := strings.Cut(rest, ": "); ok {
			line, _ = strconv.Atoi(number)
			text = after
		}
	}
	if line == 0 {
		line = 1
	}
	return &Error{File: file, Line: line, Column: indent(raw, line) + 1, Text: "not valid YAML: " + text, Err: err}
}

// indent counts the spaces a line begins with.
func indent(raw []byte, line int) int {
	lines := strings.Split(string(raw), "\n")
	if line > len(lines) {
		return 0
	}
	text := lines[line-1]
	return len(text) - len(strings.TrimLeft(text, " "))
}

// found describes a node for an error: what a person wrote there.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.ShortTag() == "!!null" {
			return "nothing"
		}
		return strconv.Quote(clip(n.Value))
	default:
		return "something else"
	}
}

// clip keeps long texts out of error lines.
func clip(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
