package torture

import (
	"fmt"
	"slices"
	"strings"
)

// Wrong names a sort of violation.
type Wrong string

// The violations. The first five have a place of their own in the last line.
const (
	// Lost: acknowledged, and its effect is missing or altered.
	Lost Wrong = "lost"
	// DupEffect: an effect that happened twice, or that nobody asked for.
	DupEffect Wrong = "dup_effects"
	// DoubleSend: a touch that went out twice, or after it was given up as ambiguous.
	DoubleSend Wrong = "double_sends"
	// Inversion: in the log before something that was acknowledged before it was sent.
	Inversion Wrong = "order_inversions"
	// Unaccounted: neither applied nor refused nor parked, or work that never ended.
	Unaccounted Wrong = "unaccounted"

	// LateSend: a mail to somebody who had said no before it was begun.
	LateSend Wrong = "late_sends"
	// Omitted: a mail that should have been planned and was not, or one that is
	// said to be sent and never arrived.
	Omitted Wrong = "omitted"
	// Unexplained: ambiguous without a fault that could be the reason.
	Unexplained Wrong = "unexplained"
	// Turned: a good event that was refused.
	Turned Wrong = "turned_away"
	// Stale: a service answers something else than the log says.
	Stale Wrong = "stale_reads"
	// Mismatch: a record that does not come out of its causes again.
	Mismatch Wrong = "mismatches"
	// Crash: a process panicked.
	Crash Wrong = "crashes"
)

func wrongs() []Wrong {
	return []Wrong{Lost, DupEffect, DoubleSend, Inversion, Unaccounted, LateSend, Omitted, Unexplained, Turned, Stale, Mismatch, Crash}
}

// Violation is one thing that is not as it should be.
type Violation struct {
	Wrong  Wrong
	Detail string
}

// Report is the judgement.
type Report struct {
	Seed uint64
	// Events counts what was sent, Acked what was acknowledged; Refused what was
	// refused as it should be; Void what nobody acknowledged and nobody applied.
	Events, Acked, Refused, Void int
	// Ambiguous touches, and mails that were on their way while their reader said no.
	Ambiguous, InFlight int
	Touches, Mails      int
	Handoffs, Delivered int
	// Hits counts opens and clicks in the log, Machines those that machines made.
	Hits, Machines int
	// Joins counts leads that turned out to be somebody known by themselves, Merges
	// and Unmerges what was done by hand.
	Joins, Merges, Unmerges int
	// Parked counts entries for a person, whatever they are about.
	Parked, ParkedHandoffs int
	// Faults by what was broken.
	Faults map[string]int
	// Kills counts processes ended by SIGKILL.
	Kills      int
	Violations []Violation
}

// OK says that nothing is wrong.
func (r *Report) OK() bool { return len(r.Violations) == 0 }

// Count is how many violations of a sort there are.
func (r *Report) Count(w Wrong) int {
	n := 0
	for _, v := range r.Violations {
		if v.Wrong == w {
			n++
		}
	}
	return n
}

func (r *Report) wrong(w Wrong, format string, args ...any) {
	r.Violations = append(r.Violations, Violation{Wrong: w, Detail: fmt.Sprintf(format, args...)})
}

// Line is the last line of a run.
func (r *Report) Line() string {
	return fmt.Sprintf("events=%d acked=%d lost=%d dup_effects=%d double_sends=%d order_inversions=%d ambiguous=%d unaccounted=%d seed=%d",
		r.Events, r.Acked, r.Count(Lost), r.Count(DupEffect), r.Count(DoubleSend), r.Count(Inversion),
		r.Ambiguous, r.Count(Unaccounted), r.Seed)
}

// shown bounds the violations of one sort that are spelt out.
const shown = 10

// Text tells what happened, what is wrong, and the last line.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "faults: kills=%d %s\n", r.Kills, r.faults())
	fmt.Fprintf(&b, "effects: refused=%d void=%d touches=%d mails=%d in_flight_at_unsubscribe=%d handoffs=%d delivered=%d parked_handoffs=%d parked=%d\n",
		r.Refused, r.Void, r.Touches, r.Mails, r.InFlight, r.Handoffs, r.Delivered, r.ParkedHandoffs, r.Parked)
	fmt.Fprintf(&b, "people: hits=%d of_machines=%d joins=%d merges=%d unmerges=%d\n", r.Hits, r.Machines, r.Joins, r.Merges, r.Unmerges)
	b.WriteString("also:")
	for _, w := range wrongs()[5:] {
		fmt.Fprintf(&b, " %s=%d", w, r.Count(w))
	}
	b.WriteByte('\n')
	for _, w := range wrongs() {
		r.spell(&b, w)
	}
	b.WriteString(r.Line())
	b.WriteByte('\n')
	return b.String()
}

func (r *Report) spell(b *strings.Builder, w Wrong) {
	n := 0
	for _, v := range r.Violations {
		if v.Wrong != w {
			continue
		}
		if n++; n <= shown {
			fmt.Fprintf(b, "WRONG %s: %s\n", w, v.Detail)
		}
	}
	if n > shown {
		fmt.Fprintf(b, "WRONG %s: and %d more\n", w, n-shown)
	}
}

func (r *Report) faults() string {
	names := make([]string, 0, len(r.Faults))
	for name := range r.Faults {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s=%d", name, r.Faults[name])
	}
	return strings.Join(names, " ")
}
