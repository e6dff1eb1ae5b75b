package desk

import (
	"hash/fnv"
	"strconv"
	"time"
)

// Field is a part of a profile that the gate can require.
type Field string

// The fields a gate can require.
const (
	FieldEmail   Field = "email"
	FieldPhone   Field = "phone"
	FieldName    Field = "name"
	FieldCompany Field = "company"
)

// Fields lists what a gate can require.
func Fields() []Field { return []Field{FieldEmail, FieldPhone, FieldName, FieldCompany} }

// Policy is what the configuration decides.
type Policy struct {
	// Require are the fields a lead must have before sales gets it.
	Require []Field
	// Consent are the purposes that must be granted.
	Consent []string
	// FirstLook is how soon a held lead is looked at again; the pause grows
	// fourfold up to MaxLook.
	FirstLook, MaxLook time.Duration
	SLA                SLA
	Delivery           Schedule
}

// SLA is how long a rep may take to answer, and what happens then.
type SLA struct {
	// RespondWithin is the time from the assignment to the first reminder; 0
	// switches the clock off.
	RespondWithin time.Duration
	// Reminders is how often a rep is reminded before the lead moves on.
	Reminders uint32
	// RemindEvery is the pause after each reminder.
	RemindEvery time.Duration
	// Reassignments bounds how often it moves to another rep.
	Reassignments uint32
}

// Schedule is when a delivery is tried: one pause before each attempt.
type Schedule struct {
	// Pauses before the first, second, ... attempt. Their number bounds the attempts.
	Pauses []time.Duration
	// Scale shortens or stretches all pauses; 1 is the schedule as written.
	Scale float64
	// Jitter is the largest share of a pause added to it, 0 to 1.
	Jitter float64
}

// StandardSchedule is the retry schedule that Standard Webhooks recommends:
// ten attempts in about three days.
func StandardSchedule() Schedule {
	return Schedule{
		Pauses: []time.Duration{
			0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
			5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		},
		Scale: 1, Jitter: 0.1,
	}
}

// DefaultPolicy requires an e-mail address, gives a rep four hours and follows
// the standard delivery schedule.
func DefaultPolicy() Policy {
	return Policy{
		Require:   []Field{FieldEmail},
		FirstLook: time.Second,
		MaxLook:   time.Hour,
		SLA:       SLA{RespondWithin: 4 * time.Hour, Reminders: 1, RemindEvery: 2 * time.Hour, Reassignments: 2},
		Delivery:  StandardSchedule(),
	}
}

// Pause is the wait before attempt n (1 is the first) of a delivery. ok is
// false when there is no such attempt. The jitter depends on the delivery and
// the attempt alone, so that a replay computes the same moment.
func (s Schedule) Pause(delivery string, n uint32) (pause time.Duration, ok bool) {
	if n == 0 || int(n) > len(s.Pauses) {
		return 0, false
	}
	base := float64(s.Pauses[n-1]) * s.Scale
	return time.Duration(base * (1 + s.Jitter*share(delivery, n))), true
}

// share spreads deliveries evenly over [0, 1).
func share(delivery string, n uint32) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(delivery + "/" + strconv.FormatUint(uint64(n), 10)))
	return float64(h.Sum64()>>11) / (1 << 53)
}

// pauseAfter is how long a lead is left alone after the gate looked n times.
func (p Policy) pauseAfter(looks uint32) time.Duration {
	pause := p.FirstLook
	for i := uint32(1); i < looks && pause < p.MaxLook; i++ {
		pause *= 4
	}
	return max(min(pause, p.MaxLook), time.Millisecond)
}
