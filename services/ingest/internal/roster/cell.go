package roster

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// Unescape takes away the quote that an export puts before a cell which a
// spreadsheet would take for a formula.
func Unescape(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' && strings.IndexByte("=+-@\t\r", cell[1]) >= 0 {
		return cell[1:]
	}
	return cell
}

// date reads a point in time; nil, with a fault, when it cannot be read. A date
// like 03/04/2026 is refused: nobody can tell which part is the month.
func (r *reader) date(column, value string) *timestamppb.Timestamp {
	for _, layout := range [...]string{
		time.RFC3339Nano, "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04",
		time.DateOnly, "2006/01/02", "02.01.2006", "02.01.2006 15:04", "2 Jan 2006", "Jan 2, 2006",
	} {
		if at, err := time.Parse(layout, value); err == nil {
			return timestamppb.New(at)
		}
	}
	r.fail(column, "%.40q is not a date; expected one like 2026-03-31 or 2026-03-31T09:30:00Z", value)
	return nil
}
