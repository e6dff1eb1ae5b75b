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

// yes reads an answer; ok is false for anything that is not clearly one.
func yes(value string) (said, ok bool) {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "yes", "y", "true", "t", "1", "x", "on", "granted", "opt-in", "opted in", "subscribed", "ja", "oui", "si", "sí":
		return true, true
	case "no", "n", "false", "f", "0", "off", "denied", "opt-out", "opted out", "unsubscribed", "nein", "non":
		return false, true
	}
	return false, false
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
