package table

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"
)

// maxUnzipped bounds what a workbook may unpack to, in bytes.
const maxUnzipped = 1 << 30

type xlsxReader struct {
	file    *os.File
	book    *excelize.File
	rows    *excelize.Rows
	columns []string
	number  uint64
	total   int
}

// openXLSX reads a sheet of a workbook: the cells as they are shown, dates as
// year-month-day.
func openXLSX(f *os.File, o Options) (Reader, error) {
	book, err := excelize.OpenReader(f, excelize.Options{
		UnzipSizeLimit: maxUnzipped, ShortDatePattern: "yyyy-mm-dd", LongDatePattern: "yyyy-mm-dd",
	})
	if err != nil {
		return nil, fmt.Errorf("read workbook: %w", err)
	}
	r := &xlsxReader{file: f, book: book}
	if err := r.open(o.Sheet); err != nil {
		return nil, errors.Join(err, book.Close())
	}
	return r, nil
}

func (r *xlsxReader) open(sheet string) (err error) {
	sheets := r.book.GetSheetList()
	if sheet == "" && len(sheets) > 0 {
		sheet = sheets[0]
	}
	if !slices.Contains(sheets, sheet) {
		return fmt.Errorf("there is no sheet %q; the workbook has %s", sheet, strings.Join(sheets, ", "))
	}
	r.total = rowsIn(r.book, sheet)
	if r.rows, err = r.book.Rows(sheet); err != nil {
		return fmt.Errorf("read sheet %s: %w", sheet, err)
	}
	if !r.rows.Next() {
		return fmt.Errorf("%w; sheet %s is empty", ErrHeader, sheet)
	}
	names, err := r.rows.Columns()
	if err != nil {
		return fmt.Errorf("read the first row: %w", err)
	}
	r.columns, err = header(names)
	return err
}

// rowsIn reads how many rows a sheet says it has; 0 when it does not say.
func rowsIn(book *excelize.File, sheet string) int {
	area, err := book.GetSheetDimension(sheet)
	if err != nil {
		return 0
	}
	_, last, _ := strings.Cut(area, ":")
	_, rows, err := excelize.CellNameToCoordinates(last)
	if err != nil {
		return 0
	}
	return rows
}

func (r *xlsxReader) Columns() []string { return r.columns }

func (r *xlsxReader) Done() float64 {
	if r.total < 2 {
		return 0
	}
	return min(float64(r.number)/float64(r.total-1), 1)
}

func (r *xlsxReader) Close() error {
	return errors.Join(r.rows.Close(), r.book.Close(), r.file.Close())
}

func (r *xlsxReader) Next() (Row, error) {
	for r.rows.Next() {
		cells, err := r.rows.Columns()
		if err != nil {
			return Row{}, fmt.Errorf("read row %d: %w", r.number+1, err)
		}
		if blank(cells) {
			continue
		}
		r.number++
		return row(r.number, r.columns, cells), nil
	}
	if err := r.rows.Error(); err != nil {
		return Row{}, fmt.Errorf("read row %d: %w", r.number+1, err)
	}
	return Row{}, io.EOF
}
