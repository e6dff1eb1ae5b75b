package table

import (
	"encoding/csv"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Writer writes rows of one type; its columns are the type's parquet tags.
type Writer[T any] interface {
	Write(rows ...T) error
	// Close writes what is left; the file itself stays open.
	Close() error
}

// Escape puts a quote before a cell that a spreadsheet would take for a formula
// (OWASP, CSV injection).
func Escape(cell string) string {
	if cell == "" {
		return cell
	}
	if strings.IndexByte("=+-@\t\r", cell[0]) >= 0 {
		return "'" + cell
	}
	return cell
}

// CSV writes comma separated values with a header, safe to open in a spreadsheet.
func CSV[T any](w io.Writer) (Writer[T], error) {
	c := &csvWriter[T]{csv: csv.NewWriter(w)}
	var header []string
	for f := range fields[T]() {
		header = append(header, f)
	}
	if err := c.csv.Write(header); err != nil {
		return nil, fmt.Errorf("write header: %w", err)
	}
	return c, nil
}

type csvWriter[T any] struct{ csv *csv.Writer }

// fields lists the columns of a type and their places.
func fields[T any]() func(yield func(string, int) bool) {
	t := reflect.TypeFor[T]()
	return func(yield func(string, int) bool) {
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("parquet"), ",")
			if !yield(name, i) {
				return
			}
		}
	}
}

func (c *csvWriter[T]) Write(rows ...T) error {
	for _, row := range rows {
		v := reflect.ValueOf(row)
		cells := make([]string, 0, v.NumField())
		for _, i := range fields[T]() {
			cells = append(cells, cell(v.Field(i).Interface()))
		}
		if err := c.csv.Write(cells); err != nil {
			return fmt.Errorf("write row: %w", err)
		}
	}
	return nil
}

func cell(v any) string {
	switch x := v.(type) {
	case string:
		return Escape(x)
	case bool:
		return strconv.FormatBool(x)
	case time.Time:
		if x.IsZero() {
			return ""
		}
		return x.UTC().Format(time.RFC3339Nano)
	case *time.Time:
		if x == nil {
			return ""
		}
		return cell(*x)
	case *int64:
		if x == nil {
			return ""
		}
		return cell(*x)
	}
	return fmt.Sprint(v)
}

func (c *csvWriter[T]) Close() error {
	c.csv.Flush()
	if err := c.csv.Error(); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

// Parquet writes an Apache Parquet file, compressed with Zstandard.
func Parquet[T any](w io.Writer) Writer[T] {
	return &parquetWriter[T]{parquet.NewGenericWriter[T](w, parquet.Compression(&parquet.Zstd))}
}

type parquetWriter[T any] struct{ w *parquet.GenericWriter[T] }

func (p *parquetWriter[T]) Write(rows ...T) error {
	if _, err := p.w.Write(rows); err != nil {
		return fmt.Errorf("write row: %w", err)
	}
	return nil
}

func (p *parquetWriter[T]) Close() error {
	if err := p.w.Close(); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}
