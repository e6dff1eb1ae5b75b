// Package table reads and writes lists of rows: CSV, NDJSON, XLSX and Parquet.
package table

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Row is one row of a list, by column.
type Row struct {
	// Number is 1 for the first row of data.
	Number uint64
	Values map[string]string
	// Fault says why the row cannot be read; the others can. Text is then all that
	// stands there.
	Fault, Text string
}

// Reader reads a list row by row.
type Reader interface {
	// Columns are the names in the list's own order; nil when only the rows know.
	Columns() []string
	// Next gives the next row, io.EOF after the last one.
	Next() (Row, error)
	// Done is how much has been read, 0 to 1.
	Done() float64
	Close() error
}

// Options say how a file is to be read.
type Options struct {
	// Sheet of an XLSX file; empty: the first.
	Sheet string
}

// Errors of a file.
var (
	// ErrFormat: the name does not say what is in the file.
	ErrFormat = errors.New("expected a file that ends in .csv, .tsv, .ndjson, .jsonl or .xlsx")
	// ErrHeader: the columns have no names that tell them apart.
	ErrHeader = errors.New("the first row must name the columns")
)

// Open opens a list; what it is, its name says.
func Open(path string, o Options) (Reader, error) {
	open, ok := map[string]func(*os.File, Options) (Reader, error){
		".csv": openCSV, ".tsv": openCSV, ".txt": openCSV, ".ndjson": openNDJSON, ".jsonl": openNDJSON, ".xlsx": openXLSX,
	}[strings.ToLower(filepath.Ext(path))]
	if !ok {
		return nil, fmt.Errorf("open list %s: %w", path, ErrFormat)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open list: %w", err)
	}
	r, err := open(f, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open list %s: %w", path, err), f.Close())
	}
	return r, nil
}

// header checks the names of the columns. Those without a name at the end of a
// sheet are left out.
func header(names []string) ([]string, error) {
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	for len(names) > 0 && names[len(names)-1] == "" {
		names = names[:len(names)-1]
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w; it is empty", ErrHeader)
	}
	seen := map[string]int{}
	for i, name := range names {
		if name == "" {
			return nil, fmt.Errorf("%w; column %d has none", ErrHeader, i+1)
		}
		if first, dup := seen[name]; dup {
			return nil, fmt.Errorf("%w; columns %d and %d are both called %q", ErrHeader, first, i+1, name)
		}
		seen[name] = i + 1
	}
	return names, nil
}

// row puts cells under their columns.
func row(number uint64, columns, cells []string) Row {
	r := Row{Number: number, Values: make(map[string]string, len(columns))}
	for i, cell := range cells {
		switch {
		case i < len(columns):
			r.Values[columns[i]] = cell
		case strings.TrimSpace(cell) != "":
			r.Fault = fmt.Sprintf("has %d cells under %d columns; is a delimiter in a value that is not quoted?", len(cells), len(columns))
			r.Text = strings.Join(cells, " | ")
		}
	}
	return r
}

// blank reports whether nothing stands in a row: such rows are passed over.
func blank(cells []string) bool {
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}

// meter counts what was read of a file.
type meter struct {
	io.Reader
	read, size int64
}

func newMeter(f *os.File) (*meter, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at file: %w", err)
	}
	return &meter{Reader: f, size: max(info.Size(), 1)}, nil
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.read += int64(n)
	return n, err //nolint:wrapcheck // io.EOF must stay what it is
}

func (m *meter) done() float64 { return min(float64(m.read)/float64(m.size), 1) }
