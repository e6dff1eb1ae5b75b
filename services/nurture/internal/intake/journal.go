package intake

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/table"
)

// noteEvery is after how many answers the place is written down.
const noteEvery = 500

// Columns that are added to refused rows. LineColumn has what stands in a row that
// cannot be read.
const (
	RowColumn    = "nurture_row"
	ReasonColumn = "nurture_reason"
	LineColumn   = "nurture_line"
)

// Journal remembers how far the import of a list is, in a file beside it, and
// keeps the rows that were refused in another.
type Journal struct {
	// Tally is what was counted when the journal was opened; its rows are answered.
	Tally Tally

	place   string
	listID  string
	columns []string
	rejects *os.File
	buf     bytes.Buffer
	csv     *csv.Writer
	unsaved uint64
}

// saved is the file of a journal.
type saved struct {
	ListID string `json:"list_id"`
	Tally  Tally  `json:"tally"`
	// Rejects is how long the file of refused rows was.
	Rejects int64 `json:"rejects_bytes"`
}

// OpenJournal opens the journal of a list. Without a path nothing is kept: for
// a dry run. One of another list, or of the same list with another plan, is
// begun anew. columns are those of refused rows; nil writes them as NDJSON.
func OpenJournal(place, rejects, listID string, columns []string) (*Journal, error) {
	j := &Journal{place: place, listID: listID, columns: columns}
	if place == "" {
		return j, nil
	}
	var s saved
	raw, err := os.ReadFile(place)
	if err == nil && json.Unmarshal(raw, &s) == nil && s.ListID == listID {
		j.Tally = s.Tally
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read progress: %w", err)
	} else {
		s = saved{}
	}
	if j.rejects, err = os.OpenFile(rejects, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("open file of refused rows: %w", err)
	}
	// What was written behind the last place will be refused again.
	if err := j.rejects.Truncate(s.Rejects); err != nil {
		return nil, fmt.Errorf("cut file of refused rows: %w", err)
	}
	if _, err := j.rejects.Seek(s.Rejects, io.SeekStart); err != nil {
		return nil, fmt.Errorf("cut file of refused rows: %w", err)
	}
	j.csv = csv.NewWriter(&j.buf)
	return j, nil
}

// Resumes reports whether part of the list was answered before.
func (j *Journal) Resumes() bool { return j.Tally.Rows > 0 }

// Close closes the file of refused rows.
func (j *Journal) Close() error {
	if j.rejects == nil {
		return nil
	}
	if err := j.rejects.Close(); err != nil {
		return fmt.Errorf("close file of refused rows: %w", err)
	}
	return nil
}

// reject keeps a refused row with the reason beside it.
func (j *Journal) reject(r table.Row, a *ingestv1.ImportLeadsResponse) error {
	if j.rejects == nil {
		return nil
	}
	why := Reasons(a)
	if j.columns == nil {
		return j.rejectObject(r, why)
	}
	at, err := j.rejects.Seek(0, io.SeekCurrent)
	if err != nil {
		return fmt.Errorf("write refused row: %w", err)
	}
	if at == 0 && j.buf.Len() == 0 {
		if err := j.csv.Write(append(slices.Clone(j.columns), RowColumn, ReasonColumn, LineColumn)); err != nil {
			return fmt.Errorf("write refused row: %w", err)
		}
	}
	cells := make([]string, 0, len(j.columns)+3)
	for _, c := range j.columns {
		cells = append(cells, table.Escape(r.Values[c]))
	}
	if err := j.csv.Write(append(cells, strconv.FormatUint(r.Number, 10), table.Escape(why), table.Escape(r.Text))); err != nil {
		return fmt.Errorf("write refused row: %w", err)
	}
	j.csv.Flush()
	return nil
}

func (j *Journal) rejectObject(r table.Row, why string) error {
	object := maps.Clone(r.Values)
	object[RowColumn], object[ReasonColumn] = strconv.FormatUint(r.Number, 10), why
	if r.Text != "" {
		object[LineColumn] = r.Text
	}
	if err := json.NewEncoder(&j.buf).Encode(object); err != nil {
		return fmt.Errorf("write refused row: %w", err)
	}
	return nil
}

// Reasons says in one line what stands against a row.
func Reasons(a *ingestv1.ImportLeadsResponse) string {
	texts := make([]string, len(a.GetProblems()))
	for i, p := range a.GetProblems() {
		texts[i] = strings.TrimSpace(p.GetField() + " " + p.GetMessage())
	}
	return strings.Join(texts, "; ")
}

// note writes the place down now and then.
func (j *Journal) note(t Tally) error {
	if j.unsaved++; j.unsaved < noteEvery {
		return nil
	}
	return j.save(t)
}

// save writes refused rows, then the place: in this order, so that no refused
// row is forgotten.
func (j *Journal) save(t Tally) error {
	j.unsaved = 0
	if j.place == "" {
		return nil
	}
	if _, err := j.rejects.Write(j.buf.Bytes()); err != nil {
		return fmt.Errorf("write refused rows: %w", err)
	}
	j.buf.Reset()
	if err := j.rejects.Sync(); err != nil {
		return fmt.Errorf("write refused rows: %w", err)
	}
	at, err := j.rejects.Seek(0, io.SeekCurrent)
	if err != nil {
		return fmt.Errorf("write refused rows: %w", err)
	}
	raw, err := json.Marshal(saved{ListID: j.listID, Tally: t, Rejects: at})
	if err != nil {
		return fmt.Errorf("write progress: %w", err)
	}
	if err := os.WriteFile(j.place+".new", raw, 0o600); err != nil {
		return fmt.Errorf("write progress: %w", err)
	}
	if err := os.Rename(j.place+".new", j.place); err != nil {
		return fmt.Errorf("write progress: %w", err)
	}
	return nil
}

// finish removes what is not needed any more: the place, and an empty file of
// refused rows.
func (j *Journal) finish() error {
	if j.place == "" {
		return nil
	}
	if err := j.save(j.Tally); err != nil {
		return err
	}
	if info, err := j.rejects.Stat(); err == nil && info.Size() == 0 {
		if err := os.Remove(j.rejects.Name()); err != nil {
			return fmt.Errorf("remove empty file: %w", err)
		}
	}
	if err := os.Remove(j.place); err != nil {
		return fmt.Errorf("remove progress: %w", err)
	}
	return nil
}
