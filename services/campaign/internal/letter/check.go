package letter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/pkg/expr"
)

// place is a point in a file, line and column counted from 1.
type place struct {
	file         string
	line, column int
}

func (p place) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s", p.file, p.line, p.column, fmt.Sprintf(format, args...))
}

// after is the place at the end of text that starts here.
func (p place) after(text string) place {
	if n := strings.Count(text, "\n"); n > 0 {
		return place{p.file, p.line + n, len(text) - strings.LastIndexByte(text, '\n')}
	}
	return place{p.file, p.line, p.column + len(text)}
}

// checker walks a template once: it refuses what must not be there and passes
// every {{ }} through the output filter.
type checker struct {
	known    *scope
	assigned []string
	out      strings.Builder
	errs     []error
	comment  bool
}

func check(known *scope, at place, text string) (string, error) {
	c := &checker{known: known}
	for text != "" {
		open := opening(text)
		c.out.WriteString(text[:open])
		at, text = at.after(text[:open]), text[open:]
		if text == "" {
			break
		}
		end := strings.Index(text, closing(text))
		if end < 0 {
			c.errs = append(c.errs, at.errorf("%s is never closed; write %s", text[:2], closing(text)))
			break
		}
		end += 2
		c.block(at, text[:end])
		at, text = at.after(text[:end]), text[end:]
	}
	return c.out.String(), errors.Join(c.errs...)
}

// opening is where the next {{ or {% stands; the length of text if there is none.
func opening(text string) int {
	for i := 0; i+1 < len(text); i++ {
		if text[i] == '{' && (text[i+1] == '{' || text[i+1] == '%') {
			return i
		}
	}
	return len(text)
}

func closing(text string) string {
	if text[1] == '%' {
		return "%}"
	}
	return "}}"
}

// block handles one {{ }} or {% %}, delimiters included.
func (c *checker) block(at place, text string) {
	inner := strings.TrimSuffix(strings.TrimPrefix(text[2:len(text)-2], "-"), "-")
	at = at.after(text[:strings.Index(text, inner)])
	if text[1] == '%' {
		c.tag(at, inner)
		c.out.WriteString(text)
		return
	}
	if c.comment {
		c.out.WriteString(text)
		return
	}
	c.expression(at, inner, true)
	open, end := text[:2], "}}"
	if text[2] == '-' {
		open += "-"
	}
	if text[len(text)-3] == '-' {
		end = "-}}"
	}
	c.out.WriteString(open + inner + " | " + outFilter + " " + end)
}

func (c *checker) tag(at place, inner string) {
	body := strings.TrimLeft(inner, " \t\r\n")
	name := nameAt(body)
	args := body[len(name):]
	at = at.after(inner[:len(inner)-len(args)])
	switch {
	case name == "endcomment":
		c.comment = false
	case c.comment:
	case name == "comment":
		c.comment = true
	case !slices.Contains(tags(), name):
		c.fail(at, "the tag %q is not available in mails; use one of %s", name, "assign, if, unless, case, comment")
	case name == "assign":
		target, value, ok := strings.Cut(args, "=")
		if !ok {
			c.fail(at, `assign needs a value; write {%% assign name = "value" %%}`)
			return
		}
		c.expression(at.after(target+"="), value, true)
		c.assigned = append(c.assigned, strings.TrimSpace(target))
	default:
		c.expression(at, args, false)
	}
}

// expression checks the names in an expression: variables and filters. shown
// says that its value may be shown, so that it must not be missing.
func (c *checker) expression(at place, text string, shown bool) {
	words, err := split(text)
	if err != nil {
		c.fail(at, "%v", err)
		return
	}
	for i, w := range words {
		switch w.kind {
		case filterWord:
			c.filter(at.after(text[:w.at]), w.text)
		case nameWord:
			c.variable(at.after(text[:w.at]), w.text, !shown || followedByDefault(words[i+1:]))
		case otherWord:
		}
	}
}

func (c *checker) filter(at place, name string) {
	if knownFilter(name) {
		return
	}
	if near := expr.Nearest(name, filters()); near != "" {
		c.fail(at, "unknown filter %q; did you mean %q?", name, near)
		return
	}
	c.fail(at, "unknown filter %q; known are %s", name, strings.Join(filters(), ", "))
}

func (c *checker) variable(at place, path string, hasDefault bool) {
	root, _, _ := strings.Cut(path, ".")
	switch {
	case slices.Contains(c.assigned, root), slices.Contains(c.known.paths, path):
	case strings.HasPrefix(path, attributes+"."):
		if !hasDefault {
			c.fail(at, `%s may be missing; add a default, as in {{ %s | default: "..." }}`, path, path)
		}
	default:
		c.unknown(at, path)
	}
}

func (c *checker) unknown(at place, path string) {
	if near := expr.Nearest(path, c.known.paths); near != "" {
		c.fail(at, "unknown variable %q; did you mean %q?", path, near)
		return
	}
	c.fail(at, "unknown variable %q; known are %s, and lead.attributes.<name>", path, strings.Join(c.known.paths, ", "))
}

func (c *checker) fail(at place, format string, args ...any) {
	c.errs = append(c.errs, at.errorf(format, args...))
}
