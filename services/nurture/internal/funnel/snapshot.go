package funnel

import (
	"slices"
	"time"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Snapshot is the funnel at one moment.
type Snapshot struct {
	// Captured are the leads there are; Stages counts them by stage. Anonymous
	// are visitors who have not said who they are, and no leads yet.
	// Uncounted are test leads and our own people: they are in no other count.
	Captured, Anonymous, Uncounted int
	Stages                         map[leadv1.Stage]int
	// AtArrival were qualified by the very record that said who they are; HandedOff,
	// Accepted and Recycled were ever assigned to a rep, accepted, and given back.
	AtArrival, HandedOff, Accepted, Recycled int
	Tally
	// Orphans have no open enrollment, no wake-up, no sales owner and no closing
	// stage: nobody would ever look at them again.
	Orphans int
	// Unaccounted are captured leads without a stage.
	Unaccounted int
	// Parked are the messages that wait for a person.
	Parked int
	// NextWake is the earliest wake-up still ahead; zero when there is none.
	NextWake time.Time
}

// settle is how long after its latest record a lead may be between two owners,
// and how much later than promised a wake-up may be, before it is an orphan.
const (
	settle  = 2 * time.Second
	overdue = time.Minute
)

// closing are the stages at which a lead rightly ends.
var closing = [...]leadv1.Stage{
	leadv1.Stage_STAGE_WON, leadv1.Stage_STAGE_LOST, leadv1.Stage_STAGE_DISQUALIFIED,
	leadv1.Stage_STAGE_INACTIVE, leadv1.Stage_STAGE_SUPPRESSED, leadv1.Stage_STAGE_ERASED,
}

// Snapshot counts the leads as of now. Parked is left to who knows it.
func (f *Funnel) Snapshot(now time.Time) Snapshot {
	s := Snapshot{Stages: map[leadv1.Stage]int{}}
	for _, l := range f.leads {
		if l.uncounted {
			s.Uncounted++
			continue
		}
		s.add(l.tally)
		switch {
		case l.captured():
			s.count(l, now)
		case l.seen && !l.merged:
			s.Anonymous++
		}
	}
	return s
}

func (s *Snapshot) count(l *lead, now time.Time) {
	s.Captured++
	if l.stage == leadv1.Stage_STAGE_UNSPECIFIED {
		s.Unaccounted++
	} else {
		s.Stages[l.stage]++
	}
	for _, c := range []struct {
		yes bool
		n   *int
	}{{slices.Contains(l.qualifiedBy, l.arrivedAt), &s.AtArrival}, {l.handedOff, &s.HandedOff}, {l.accepted, &s.Accepted}, {l.recycled, &s.Recycled}} {
		if c.yes {
			*c.n++
		}
	}
	if l.orphan(now) {
		s.Orphans++
	}
	for _, at := range l.wake {
		if at.After(now) && (s.NextWake.IsZero() || at.Before(s.NextWake)) {
			s.NextWake = at
		}
	}
}

// captured: somebody who can be reached, who did not turn out to be another, and
// whom we want to win.
func (l *lead) captured() bool { return l.arrivedAt > 0 && !l.merged && !l.uncounted }

func (l *lead) orphan(now time.Time) bool {
	if l.open > 0 || l.withSales || slices.Contains(closing[:], l.stage) || now.Sub(l.changed) < settle {
		return false
	}
	for _, at := range l.wake {
		if !at.IsZero() && now.Sub(at) < overdue {
			return false
		}
	}
	return true
}

// Nurturing are the leads that marketing owns.
func (s Snapshot) Nurturing() int {
	return s.Stages[leadv1.Stage_STAGE_NEW] + s.Stages[leadv1.Stage_STAGE_NURTURING] +
		s.Stages[leadv1.Stage_STAGE_REJECTED] + s.Stages[leadv1.Stage_STAGE_RECYCLED]
}

// AtSales are the leads that sales owns now.
func (s Snapshot) AtSales() int {
	return s.Stages[leadv1.Stage_STAGE_ASSIGNED] + s.Stages[leadv1.Stage_STAGE_ACCEPTED] +
		s.Stages[leadv1.Stage_STAGE_SALES_QUALIFIED]
}

// Orphaned lists the orphans' ids, sorted, at most n: what `nurture status` shows.
func (f *Funnel) Orphaned(now time.Time, n int) []string {
	return f.list(n, func(l *lead) bool { return l.orphan(now) })
}

// Lost lists the ids of captured leads without a stage, sorted, at most n.
func (f *Funnel) Lost(n int) []string {
	return f.list(n, func(l *lead) bool { return l.stage == leadv1.Stage_STAGE_UNSPECIFIED })
}

func (f *Funnel) list(n int, want func(*lead) bool) []string {
	var ids []string
	for id, l := range f.leads {
		if l.captured() && want(l) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids[:min(n, len(ids))]
}
