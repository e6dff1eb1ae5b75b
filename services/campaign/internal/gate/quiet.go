package gate

import (
	"fmt"
	"time"
)

// Clock is a time on the wall: minutes since midnight, 0 to 1439.
type Clock int

// ParseClock reads "21:30".
func ParseClock(s string) (Clock, error) {
	t, err := time.Parse("15:04", s)
	if err != nil {
		return 0, fmt.Errorf("%q is no time of day: write it like \"21:30\"", s)
	}
	return Clock(t.Hour()*60 + t.Minute()), nil
}

// Quiet is the part of the day in which nobody wants mail. From later than To
// spans midnight: 21:00 to 08:00 is the night.
type Quiet struct {
	From, To Clock
	// Fallback is the zone of leads that did not tell theirs.
	Fallback *time.Location
}

// covers reports whether the wall clock of t stands in the quiet hours.
func (q *Quiet) covers(t time.Time) bool {
	now := Clock(t.Hour()*60 + t.Minute())
	if q.From < q.To {
		return now >= q.From && now < q.To
	}
	return now >= q.From || now < q.To
}

// Until answers when the quiet hours that hold at now end in the zone, and
// whether they hold. A nil Quiet never does. The wall clock decides: a night
// with a change to or from summer time is an hour shorter or longer, and an end
// that does not exist on that day is the first minute after it that does.
func (q *Quiet) Until(now time.Time, zone *time.Location) (time.Time, bool) {
	if q == nil {
		return time.Time{}, false
	}
	local := now.In(q.zone(zone))
	if !q.covers(local) {
		return time.Time{}, false
	}
	end := now.Truncate(time.Minute).Add(time.Minute)
	if near := q.endOf(local).Add(-searchSpan); near.After(end) {
		end = near
	}
	for q.covers(end.In(local.Location())) {
		end = end.Add(time.Minute)
	}
	return end, true
}

func (q *Quiet) zone(zone *time.Location) *time.Location {
	switch {
	case zone != nil:
		return zone
	case q.Fallback != nil:
		return q.Fallback
	default:
		return time.UTC
	}
}

// searchSpan is more than any change of a zone's clock: the end is searched
// minute by minute only this near to where the calendar puts it.
const searchSpan = 2 * time.Hour

// endOf is the next To on the calendar. It may be off by a change of the clock:
// the calendar knows times that the wall clock skips or shows twice.
func (q *Quiet) endOf(local time.Time) time.Time {
	year, month, day := local.Date()
	if Clock(local.Hour()*60+local.Minute()) >= q.To {
		day++
	}
	return time.Date(year, month, day, int(q.To)/60, int(q.To)%60, 0, 0, local.Location())
}
