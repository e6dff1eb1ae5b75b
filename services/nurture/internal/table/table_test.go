package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"
)

func file(t *testing.T, name string, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readAll(t *testing.T, path string, o Options) (rows []Row) {
	t.Helper()
	r, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
}

func TestEverySpellingOfTheSameListIsTheSameList(t *testing.T) {
	const plain = "E-Mail,Name,Note\njo@acme.example,Jörg,\"a, \"\"b\"\"\"\n\nkim@acme.example,Kim,x\n"
	want := []Row{
		{Number: 1, Values: map[string]string{"E-Mail": "jo@acme.example", "Name": "Jörg", "Note": `a, "b"`}},
		{Number: 2, Values: map[string]string{"E-Mail": "kim@acme.example", "Name": "Kim", "Note": "x"}},
	}
	semicolons := strings.NewReplacer("E-Mail,Name,Note", "E-Mail;Name;Note", "example,", "example;", "Jörg,", "Jörg;", "Kim,", "Kim;").Replace(plain)
	windows, err := charmap.Windows1252.NewEncoder().String(semicolons)
	if err != nil {
		t.Fatal(err)
	}
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(strings.ReplaceAll(semicolons, ";", "\t"))
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"plain.csv": plain, "blanks.csv": strings.ReplaceAll(plain, "\n\n", "\n , ,\n"), "bom.csv": "\ufeff" + plain, "semicolons.csv": semicolons, "windows.csv": windows, "utf16.tsv": utf16,
		"crlf.csv": strings.ReplaceAll(plain, "\n", "\r\n"),
		"objects.ndjson": `{"E-Mail":"jo@acme.example","Name":"Jörg","Note":"a, \"b\""}` + "\n\n" +
			`{"E-Mail":"kim@acme.example","Name":"Kim","Note":"x"}`,
	} {
		if diff := cmp.Diff(want, readAll(t, file(t, name, []byte(raw)), Options{})); diff != "" {
			t.Errorf("%s (-want +got): %s", name, diff)
		}
	}
}

func TestAWorkbookIsReadAsItIsShown(t *testing.T) {
	book := excelize.NewFile()
	date, err := book.NewStyle(&excelize.Style{NumFmt: 14})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := book.NewSheet("Fair"); err != nil {
		t.Fatal(err)
	}
	for cell, v := range map[string]any{
		"A1": "email", "B1": "when", "C1": "size", "A2": "jo@acme.example", "B2": time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), "C2": 51, "A4": "kim@acme.example",
	} {
		if err := book.SetCellValue("Fair", cell, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := book.SetCellStyle("Fair", "B2", "B2", date); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "fair.xlsx")
	if err := book.SaveAs(path); err != nil {
		t.Fatal(err)
	}
	want := []Row{
		{Number: 1, Values: map[string]string{"email": "jo@acme.example", "when": "2026-03-04", "size": "51"}},
		{Number: 2, Values: map[string]string{"email": "kim@acme.example"}},
	}
	if diff := cmp.Diff(want, readAll(t, path, Options{Sheet: "Fair"})); diff != "" {
		t.Error(diff)
	}
	if _, err := Open(path, Options{Sheet: "Fare"}); err == nil || !strings.Contains(err.Error(), "Sheet1, Fair") {
		t.Errorf("another sheet: %v", err)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, ErrHeader) {
		t.Errorf("an empty sheet: %v", err)
	}
}

func TestARowThatCannotBeReadStopsNoOther(t *testing.T) {
	rows := readAll(t, file(t, "a.csv", []byte("a,b\n1,2,3\n4,5\n")), Options{})
	if len(rows) != 2 || !strings.Contains(rows[0].Fault, "3 cells under 2 columns") || rows[1].Fault != "" {
		t.Errorf("csv %+v", rows)
	}
	rows = readAll(t, file(t, "a.jsonl", []byte("{\"a\":1}\n[1]\n{\"a\":{\"b\":[1,true,\"x\"]}}\n")), Options{})
	if len(rows) != 3 || rows[1].Fault == "" || rows[2].Values["a.b"] != "1, true, x" {
		t.Errorf("ndjson %+v", rows)
	}
}

func TestAFileThatIsNoListIsRefusedWithWhatIsExpected(t *testing.T) {
	for name, want := range map[string]string{
		"a.pdf": ".csv", "empty.csv": "the file is empty", "a.xlsx": "read workbook",
	} {
		if _, err := Open(file(t, name, nil), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for raw, want := range map[string]string{"a,a\n": "columns 1 and 2 are both called", "a,,b\n": "column 2 has none", ",,\n": "it is empty"} {
		if _, err := Open(file(t, "a.csv", []byte(raw)), Options{}); !errors.Is(err, ErrHeader) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", raw, err)
		}
	}
	if _, err := Open("nowhere.csv", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

type line struct {
	Name string     `parquet:"name"`
	N    *int64     `parquet:"n,optional"`
	At   *time.Time `parquet:"at,optional"`
	Yes  bool       `parquet:"yes"`
}

func TestNoCellOfAnExportIsAFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOf(rapid.OneOf(rapid.SampledFrom([]rune("=+-@\t'\"|,;\n")), rapid.Rune())).Draw(t, "cell")
		var out bytes.Buffer
		w, err := CSV[line](&out)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Write(line{Name: name}), w.Close()); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		got := rows[1][0]
		if got != "" && strings.ContainsAny(got[:1], "=+-@\t\r") {
			t.Fatalf("%q is a formula", got)
		}
		back := got
		if name != got {
			back = strings.TrimPrefix(got, "'")
		}
		if strings.ReplaceAll(back, "\r\n", "\n") != strings.ReplaceAll(name, "\r\n", "\n") {
			t.Fatalf("%q became %q", name, got)
		}
	})
}

func TestWhatIsNotKnownIsAnEmptyCell(t *testing.T) {
	var out bytes.Buffer
	w, err := CSV[line](&out)
	if err != nil {
		t.Fatal(err)
	}
	zero := int64(0)
	if err := errors.Join(w.Write(line{Name: "a"}, line{Name: "b", N: &zero}), w.Close()); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "name,n,at,yes\na,,,false\nb,0,,false\n"; strings.ReplaceAll(got, "\r\n", "\n") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParquetHasWhatWasWritten(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	seven := int64(7)
	want := []line{{"=1", &seven, &at, true}, {"", nil, nil, false}}
	var out bytes.Buffer
	w := Parquet[line](&out)
	if err := errors.Join(w.Write(want...), w.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := parquet.Read[line](bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
