package table

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// sniff is how much of a file is looked at to tell its encoding and delimiter.
const sniff = 64 << 10

type csvReader struct {
	file    *os.File
	meter   *meter
	csv     *csv.Reader
	columns []string
	number  uint64
}

// openCSV reads comma, semicolon and tab separated values in UTF-8, UTF-16 or,
// as spreadsheets write it where nobody asked them, Windows-1252.
func openCSV(f *os.File, _ Options) (Reader, error) {
	m, err := newMeter(f)
	if err != nil {
		return nil, err
	}
	text := bufio.NewReaderSize(m, sniff)
	head, err := text.Peek(sniff)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("read the first rows: %w", err)
	}
	decoded := bufio.NewReaderSize(decode(text, head), sniff)
	head, _ = decoded.Peek(4096) // less is fine, and an error comes again
	r := csv.NewReader(decoded)
	r.Comma, r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = delimiter(head), -1, true, true
	names, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w; the file is empty", ErrHeader)
	}
	if err != nil {
		return nil, fmt.Errorf("read the first row: %w", err)
	}
	columns, err := header(append([]string(nil), names...))
	if err != nil {
		return nil, err
	}
	return &csvReader{file: f, meter: m, csv: r, columns: columns}, nil
}

// decode makes UTF-8 of a file's text.
func decode(r io.Reader, head []byte) io.Reader {
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Reader(r)
	case validUTF8(head):
		return unicode.UTF8BOM.NewDecoder().Reader(r)
	}
	return charmap.Windows1252.NewDecoder().Reader(r)
}

// validUTF8 allows for a character that is cut at the end.
func validUTF8(head []byte) bool {
	for cut := 0; cut < utf8.UTFMax && cut <= len(head); cut++ {
		if utf8.Valid(head[:len(head)-cut]) {
			return true
		}
	}
	return false
}

// delimiter is the one that stands most often in the first line.
func delimiter(head []byte) rune {
	line, _, _ := strings.Cut(string(head), "\n")
	best := ','
	for _, d := range ";\t|" {
		if strings.Count(line, string(d)) > strings.Count(line, string(best)) {
			best = d
		}
	}
	return best
}

func (r *csvReader) Columns() []string { return r.columns }
func (r *csvReader) Done() float64     { return r.meter.done() }
func (r *csvReader) Close() error      { return r.file.Close() } //nolint:wrapcheck // says which file

// Next reads a row. One that is not CSV is a fault of that row alone.
func (r *csvReader) Next() (Row, error) {
	for {
		cells, err := r.csv.Read()
		if errors.Is(err, io.EOF) {
			return Row{}, io.EOF
		}
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			r.number++
			return Row{Number: r.number, Values: map[string]string{}, Fault: fmt.Sprintf("cannot be read: line %d: %v", bad.Line, bad.Err)}, nil
		}
		if err != nil {
			return Row{}, fmt.Errorf("read row %d: %w", r.number+1, err)
		}
		if blank(cells) {
			continue
		}
		r.number++
		return row(r.number, r.columns, cells), nil
	}
}
