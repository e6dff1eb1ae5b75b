// Package letter is the text of a mail: Liquid templates that are checked when
// they are loaded, not when they are sent. What comes out of {{ }} is escaped in
// the HTML part unless it ends with the filter raw. Loops and files are not
// available, so that time and size stay bounded by the template itself.
package letter

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/osteele/liquid"
)

// Limits of a template and of what comes out of it, in bytes.
const (
	MaxSource  = 256 << 10
	MaxOutput  = 512 << 10
	maxSubject = 998
)

// ErrTooLong: a rendered part is longer than MaxOutput.
var ErrTooLong = errors.New("the rendered text is too long")

// Source is one template as it is written: both parts are required.
type Source struct {
	// Name of the template, e.g. "welcome-hello".
	Name string
	// Path is where its files lie, as far as Name, for error messages; no part of
	// the content. Empty: only Name is known.
	Path string `json:"-"`
	// HTML and Text are the contents of <name>.html.liquid and <name>.txt.liquid.
	HTML, Text string
}

// Letter is a template that passed its checks. It is safe for concurrent use.
type Letter struct {
	name       string
	html, text *liquid.Template
}

// Line is a single line of Liquid text, such as a subject.
type Line struct{ tpl *liquid.Template }

// Writer parses templates. It is safe for concurrent use.
type Writer struct {
	html, plain *liquid.Engine
	known       *scope
}

// NewWriter makes a Writer for templates that may use the given links.
func NewWriter(links map[string]string) *Writer {
	return &Writer{html: newEngine(escape), plain: newEngine(keep), known: newScope(links)}
}

// Parse checks both parts of a template. The error joins everything that is
// wrong, each as "file:line:column: what; what to do".
func (w *Writer) Parse(src Source) (*Letter, error) {
	path := cmp.Or(src.Path, src.Name)
	html, htmlErr := w.parse(w.html, path+".html.liquid", src.HTML)
	text, textErr := w.parse(w.plain, path+".txt.liquid", src.Text)
	if err := errors.Join(htmlErr, textErr); err != nil {
		return nil, err
	}
	l := &Letter{name: src.Name, html: html, text: text}
	for _, sample := range w.known.samples() {
		if _, _, err := l.Render(sample); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// ParseLine checks a single line of Liquid that stands at line and column of file.
func (w *Writer) ParseLine(file string, line, column int, text string) (*Line, error) {
	checked, err := check(w.known, place{file: file, line: line, column: column}, text)
	if err != nil {
		return nil, err
	}
	tpl, parseErr := w.plain.ParseString(checked)
	if parseErr != nil {
		return nil, place{file, line, column}.errorf("%v", parseErr.Cause())
	}
	l := &Line{tpl: tpl}
	for _, sample := range w.known.samples() {
		if _, err := l.Render(sample); err != nil {
			return nil, place{file, line, column}.errorf("%v", err)
		}
	}
	return l, nil
}

func (w *Writer) parse(engine *liquid.Engine, file, text string) (*liquid.Template, error) {
	start := place{file: file, line: 1, column: 1}
	if len(text) > MaxSource {
		return nil, start.errorf("the template has %d bytes; at most %d are allowed", len(text), MaxSource)
	}
	if strings.TrimSpace(text) == "" {
		return nil, start.errorf("the template is missing or empty; every mail needs an .html.liquid and a .txt.liquid part")
	}
	checked, err := check(w.known, start, text)
	if err != nil {
		return nil, err
	}
	tpl, parseErr := engine.ParseString(checked)
	if parseErr != nil {
		return nil, place{file, max(1, parseErr.LineNumber()), 1}.errorf("%v", parseErr)
	}
	return tpl, nil
}

// Name is the template's name.
func (l *Letter) Name() string { return l.name }

// Render fills both parts in for one reader. ErrTooLong when a part exceeds MaxOutput.
func (l *Letter) Render(r Reader) (html, text string, err error) {
	if html, err = render(l.html, r); err != nil {
		return "", "", fmt.Errorf("render %s.html.liquid: %w", l.name, err)
	}
	if text, err = render(l.text, r); err != nil {
		return "", "", fmt.Errorf("render %s.txt.liquid: %w", l.name, err)
	}
	return html, text, nil
}

// Render fills the line in and makes it one line of at most 998 bytes.
func (l *Line) Render(r Reader) (string, error) {
	out, err := render(l.tpl, r)
	if err != nil {
		return "", err
	}
	return OneLine(out), nil
}

// OneLine joins lines and drops control characters, so that no value can begin
// a header of its own; what exceeds the longest header is cut.
func OneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 }), " ")
	if len(s) > maxSubject {
		s = strings.ToValidUTF8(s[:maxSubject], "")
	}
	return strings.TrimSpace(s)
}

// render bounds the output, and turns a panic of the template library into an
// error: a template is data and must not stop the service.
func render(tpl *liquid.Template, r Reader) (out string, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = "", fmt.Errorf("template failed: %v", p)
		}
	}()
	w := &limited{}
	if failure := tpl.FRender(w, r.bindings()); failure != nil {
		if w.full {
			return "", ErrTooLong
		}
		return "", failure
	}
	return w.buf.String(), nil
}

type limited struct {
	buf  bytes.Buffer
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.buf.Len()+len(p) > MaxOutput {
		l.full = true
		return 0, ErrTooLong
	}
	return l.buf.Write(p)
}
