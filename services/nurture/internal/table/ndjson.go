package table

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// maxLine bounds one line of NDJSON, in bytes.
const maxLine = 1 << 20

type ndjsonReader struct {
	file   *os.File
	meter  *meter
	lines  *bufio.Scanner
	number uint64
}

// openNDJSON reads one JSON object a line. Objects within it are flattened with
// dots, lists are joined by commas.
func openNDJSON(f *os.File, _ Options) (Reader, error) {
	m, err := newMeter(f)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(m)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	return &ndjsonReader{file: f, meter: m, lines: lines}, nil
}

func (r *ndjsonReader) Columns() []string { return nil }
func (r *ndjsonReader) Done() float64     { return r.meter.done() }
func (r *ndjsonReader) Close() error      { return r.file.Close() } //nolint:wrapcheck // says which file

func (r *ndjsonReader) Next() (Row, error) {
	for r.lines.Scan() {
		line := bytes.TrimSpace(r.lines.Bytes())
		if len(line) == 0 {
			continue
		}
		r.number++
		next := Row{Number: r.number, Values: map[string]string{}}
		var object map[string]any
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&object); err != nil {
			next.Fault, next.Text = fmt.Sprintf("is not a JSON object: %v", err), string(line)
			return next, nil
		}
		flatten("", object, next.Values)
		return next, nil
	}
	if errors.Is(r.lines.Err(), bufio.ErrTooLong) {
		return Row{}, fmt.Errorf("row %d is longer than %d bytes: is it one JSON object a line?", r.number+1, maxLine)
	}
	if err := r.lines.Err(); err != nil {
		return Row{}, fmt.Errorf("read row %d: %w", r.number+1, err)
	}
	return Row{}, io.EOF
}

func flatten(prefix string, object map[string]any, into map[string]string) {
	for name, v := range object {
		if inner, ok := v.(map[string]any); ok {
			flatten(prefix+name+".", inner, into)
			continue
		}
		into[prefix+name] = text(v)
	}
}

func text(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case json.Number:
		return x.String()
	case bool:
		return strconv.FormatBool(x)
	case []any:
		parts := make([]string, len(x))
		for i, item := range x {
			parts[i] = text(item)
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		raw, err := json.Marshal(x)
		if err != nil {
			return ""
		}
		return string(raw)
	}
	return ""
}
