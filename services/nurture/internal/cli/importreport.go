package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/intake"
	"github.com/nurturehq/nurture/services/nurture/internal/table"
)

// shownRows is how many rows with problems are printed; a report has them all.
const shownRows = 20

// importReport tells a person how an import goes.
type importReport struct {
	p, bar   *printer
	tty      bool
	began    time.Time
	drawn    time.Time
	before   uint64 // rows that an earlier run brought in
	problems int
	file     *os.File
	rows     table.Writer[importLine]
}

// importLine is one row of a report file.
type importLine struct {
	Row    int64  `parquet:"row"`
	Result string `parquet:"result"`
	LeadID string `parquet:"lead_id"`
	Why    string `parquet:"problems"`
}

func newImportReport(out, errOut io.Writer, path string) (*importReport, error) {
	r := &importReport{p: &printer{w: out}, bar: &printer{w: errOut}, tty: terminal(errOut), began: time.Now()}
	if path == "" {
		return r, nil
	}
	var err error
	if r.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		return nil, fmt.Errorf("open report: %w", err)
	}
	if r.rows, err = table.CSV[importLine](r.file); err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	return r, nil
}

func (r *importReport) close() error {
	if r.file == nil {
		return nil
	}
	return errors.Join(r.rows.Close(), r.file.Close())
}

func (r *importReport) told(row table.Row, a *ingestv1.ImportLeadsResponse) error {
	result := strings.ToLower(strings.TrimPrefix(a.GetResult().String(), "RESULT_"))
	if len(a.GetProblems()) > 0 {
		r.problem(row.Number, result, intake.Reasons(a))
	}
	if r.rows == nil {
		return nil
	}
	return r.rows.Write(importLine{int64(row.Number), result, a.GetLeadId(), intake.Reasons(a)}) //nolint:gosec // rows of a file
}

func (r *importReport) problem(row uint64, result, why string) {
	switch r.problems++; {
	case r.problems <= shownRows:
		r.clear()
		r.p.f("row %d %s: %s\n", row, result, why)
	case r.problems == shownRows+1:
		r.clear()
		r.p.f("(more rows have problems; --report FILE writes all of them)\n")
	}
}

func (r *importReport) clear() {
	if r.tty {
		r.bar.f("\r\x1b[K")
	}
}

// moved draws the bar ten times a second, on a terminal only.
func (r *importReport) moved(t intake.Tally, done float64) {
	now := time.Now()
	if !r.tty || now.Sub(r.drawn) < 100*time.Millisecond {
		return
	}
	r.drawn = now
	const width = 24
	full := int(done * width)
	r.bar.f("\r\x1b[K[%s%s] %3.0f %%  %d rows, %d refused, %.0f rows/s", strings.Repeat("=", full), strings.Repeat(" ", width-full),
		100*done, t.Rows, t.Rejected, float64(t.Rows-r.before)/max(now.Sub(r.began).Seconds(), 0.001))
}

func (r *importReport) end(t intake.Tally, dryRun bool) {
	r.clear()
	if dryRun {
		r.p.f("%d rows checked, nothing recorded: %d would be taken (%d of them with something to look at), %d would be refused\n",
			t.Rows, t.Valid, t.Incomplete, t.Rejected)
		return
	}
	r.p.f("%d rows: %d new leads, %d known ones told more, %d were in already, %d refused; %d were taken without a value that could not be read\n",
		t.Rows, t.Created, t.Updated, t.Duplicate, t.Rejected, t.Incomplete)
}
