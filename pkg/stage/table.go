package stage

import (
	"slices"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Transition is one row of the lifecycle: a trigger leads from any of From to To.
type Transition struct {
	On   Trigger
	From []leadv1.Stage
	To   leadv1.Stage
	// Usual is how many of From, the first ones, are the common way; the others
	// are for facts that overtake each other and for leads that come back.
	Usual int
	// Owner is who lets it happen: ingest, scoring, handoff or campaign.
	Owner string
	// Meaning is the row in words.
	Meaning string
}

const (
	unknown      = leadv1.Stage_STAGE_UNSPECIFIED
	fresh        = leadv1.Stage_STAGE_NEW
	nurturing    = leadv1.Stage_STAGE_NURTURING
	qualified    = leadv1.Stage_STAGE_QUALIFIED
	assigned     = leadv1.Stage_STAGE_ASSIGNED
	accepted     = leadv1.Stage_STAGE_ACCEPTED
	confirmed    = leadv1.Stage_STAGE_SALES_QUALIFIED
	won          = leadv1.Stage_STAGE_WON
	lost         = leadv1.Stage_STAGE_LOST
	rejected     = leadv1.Stage_STAGE_REJECTED
	recycled     = leadv1.Stage_STAGE_RECYCLED
	disqualified = leadv1.Stage_STAGE_DISQUALIFIED
	inactive     = leadv1.Stage_STAGE_INACTIVE
	suppressed   = leadv1.Stage_STAGE_SUPPRESSED
	erased       = leadv1.Stage_STAGE_ERASED
	merged       = leadv1.Stage_STAGE_MERGED
)

// Table is the whole state machine, one row per trigger.
func Table() []Transition {
	rows := make([]Transition, 0, 19)
	for _, t := range triggers() {
		row, _ := transitionOf(t)
		rows = append(rows, row)
	}
	return rows
}

func triggers() []Trigger {
	return []Trigger{
		Captured, Scored, CrossedThreshold, FastTrack, Cooled, Assigned, Accepted, Confirmed, Won,
		Lost, Rejected, Recycled, Resumed, Disqualified, Exhausted, Suppressed, Erased, Merged, Restored,
	}
}

type stages = []leadv1.Stage

// transitionOf is the state machine itself. A fact that sales tells is true
// even when it overtakes another one (an assignment of a lead that has just
// cooled), so those rows accept every stage the fact can meet.
func transitionOf(on Trigger) (Transition, bool) {
	row := func(usual, also stages, to leadv1.Stage, owner, meaning string) (Transition, bool) {
		return Transition{On: on, From: slices.Concat(usual, also), Usual: len(usual), To: to, Owner: owner, Meaning: meaning}, true
	}
	switch on {
	case Captured:
		return row(stages{unknown}, nil, fresh, "ingest", "the lead exists")
	case Scored:
		return row(stages{fresh}, nil, nurturing, "scoring", "looked at, and not ready to buy")
	case CrossedThreshold:
		return row(stages{nurturing}, stages{fresh, recycled, inactive}, qualified, "scoring", "fit and behaviour reached the line")
	case FastTrack:
		return row(stages{fresh, nurturing}, stages{rejected, recycled, lost, inactive}, qualified, "scoring", "asked for sales, whatever the points")
	case Cooled:
		return row(stages{qualified}, nil, nurturing, "scoring", "interest faded below the line before sales took it")
	case Assigned:
		return row(stages{qualified}, stages{unknown, fresh, nurturing, rejected, recycled, lost, inactive, suppressed}, assigned, "handoff", "a rep owns it and has to answer")
	case Accepted:
		return row(stages{assigned}, stages{qualified}, accepted, "handoff", "the rep took it")
	case Confirmed:
		return row(stages{accepted}, stages{qualified, assigned}, confirmed, "handoff", "sales confirmed the opportunity")
	case Won:
		return row(stages{confirmed}, stages{qualified, assigned, accepted, lost}, won, "handoff", "became a customer")
	case Lost:
		return row(stages{confirmed}, stages{qualified, assigned, accepted}, lost, "handoff", "the opportunity is over")
	case Rejected:
		return row(stages{assigned, accepted}, stages{qualified, confirmed}, rejected, "handoff", "the rep gave it back, with a reason")
	case Recycled:
		return row(stages{rejected}, stages{qualified, assigned, accepted, confirmed, lost}, recycled, "handoff", "due for more nurturing")
	case Resumed:
		return row(stages{recycled, suppressed}, stages{rejected, inactive}, nurturing, "scoring", "nurturing goes on: the lead has rested, or may be contacted again")
	case Disqualified:
		return row(stages{assigned, accepted}, stages{unknown, fresh, nurturing, qualified, confirmed, lost, rejected, recycled, inactive}, disqualified, "handoff", "will never be a customer")
	case Exhausted:
		return row(stages{nurturing}, stages{recycled}, inactive, "campaign", "went through everything and never answered")
	case Suppressed:
		return row(stages{nurturing}, stages{unknown, fresh, qualified, rejected, recycled, inactive}, suppressed, "ingest", "must not be contacted")
	case Erased:
		return row(nil, without(erased), erased, "ingest", "asked to be forgotten")
	case Merged:
		return row(nil, without(erased, merged), merged, "ingest", "turned out to be another lead, which counts in its stead")
	case Restored:
		return row(stages{merged}, stages{assigned, accepted, confirmed, won, lost, disqualified}, nurturing, "scoring", "leads that were one are separated: what one of them had of the other is not true of it any more")
	default:
		return Transition{}, false
	}
}

// without are all stages but some, and no stage at all.
func without(some ...leadv1.Stage) stages {
	rest := slices.DeleteFunc(All(), func(s leadv1.Stage) bool { return slices.Contains(some, s) })
	return append(rest, unknown)
}

// Resumes is the stage that a lead which was merged goes on in when it is one of
// its own again: the one it had. One that was ready is judged anew.
func Resumes(before leadv1.Stage) leadv1.Stage {
	switch before {
	case unknown, fresh, qualified, merged:
		return nurturing
	default:
		return before
	}
}
