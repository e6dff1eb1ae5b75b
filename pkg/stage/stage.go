// Package stage is the lifecycle of a lead: one pure state machine that says
// which stage follows which trigger, used by events, API and import alike.
// docs/lifecycle.md shows it as a diagram and a table; a test keeps it true.
package stage

import (
	"fmt"
	"slices"
	"strings"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Trigger is what asks for a change of stage, named after the fact behind it.
type Trigger string

// The triggers, in the order of a lead's life.
const (
	// Captured: the lead exists.
	Captured Trigger = "captured"
	// Scored: it was looked at and is not ready to buy.
	Scored Trigger = "scored"
	// CrossedThreshold: fit and behaviour reached the line.
	CrossedThreshold Trigger = "crossed_threshold"
	// FastTrack: a rule says "ready now", whatever the points.
	FastTrack Trigger = "fast_track"
	// Cooled: interest faded below the line before sales took it.
	Cooled Trigger = "cooled"
	// Assigned: a sales rep owns it now, and has to answer.
	Assigned Trigger = "assigned"
	// Accepted: the rep took it.
	Accepted Trigger = "accepted"
	// Confirmed: sales confirmed the opportunity.
	Confirmed Trigger = "confirmed"
	// Won and Lost close the opportunity.
	Won  Trigger = "won"
	Lost Trigger = "lost"
	// Rejected: the rep gave it back.
	Rejected Trigger = "rejected"
	// Recycled: it is due for more nurturing.
	Recycled Trigger = "recycled"
	// Resumed: nurturing goes on after a recycle, a pause or a lifted suppression.
	Resumed Trigger = "resumed"
	// Disqualified: it will never be a customer.
	Disqualified Trigger = "disqualified"
	// Exhausted: it went through everything and never answered.
	Exhausted Trigger = "exhausted"
	// Suppressed: it must not be contacted.
	Suppressed Trigger = "suppressed"
	// Erased: the person asked to be forgotten.
	Erased Trigger = "erased"
	// Merged: the lead turned out to be another one.
	Merged Trigger = "merged"
	// Restored: leads that were one are separated, and each goes on by itself.
	Restored Trigger = "restored"
)

// Reason says why the guard let a trigger pass or not. The reason of a change
// is the trigger's own name.
type Reason string

// Reasons for which a stage stays what it is.
const (
	// Already: the lead is in the stage the trigger leads to.
	Already Reason = "already"
	// WithSales: marketing does not move a lead that sales owns.
	WithSales Reason = "with_sales"
	// Closed: the stage is an end.
	Closed Reason = "closed"
	// NotNow: the trigger means nothing in this stage.
	NotNow Reason = "not_now"
)

// Decision is the guard's answer.
type Decision struct {
	From, To leadv1.Stage
	// Changed is true when To differs from From.
	Changed bool
	// Reason is the trigger's name when Changed, else why not.
	Reason Reason
}

// Next answers what a trigger makes of a stage. It never fails: a trigger that
// is not allowed leaves the stage as it is and the reason says why.
func Next(from leadv1.Stage, on Trigger) Decision {
	d := Decision{From: from, To: from}
	t, known := transitionOf(on)
	switch {
	case !known:
		d.Reason = NotNow
	case from == t.To:
		d.Reason = Already
	case slices.Contains(t.From, from):
		d.To, d.Changed, d.Reason = t.To, true, Reason(on)
	case IsWithSales(from):
		d.Reason = WithSales
	case IsClosed(from):
		d.Reason = Closed
	default:
		d.Reason = NotNow
	}
	return d
}

// IsWithSales reports whether a rep owns the lead: assigned, accepted or
// sales qualified. Nurture leaves it alone then.
func IsWithSales(s leadv1.Stage) bool {
	switch s {
	case leadv1.Stage_STAGE_ASSIGNED, leadv1.Stage_STAGE_ACCEPTED, leadv1.Stage_STAGE_SALES_QUALIFIED:
		return true
	default:
		return false
	}
}

// IsClosed reports whether nobody has to do anything about the lead any more:
// won, lost, disqualified, inactive, suppressed, erased or merged. Some of them
// open again when the person comes back.
func IsClosed(s leadv1.Stage) bool {
	switch s {
	case leadv1.Stage_STAGE_WON, leadv1.Stage_STAGE_LOST, leadv1.Stage_STAGE_DISQUALIFIED,
		leadv1.Stage_STAGE_INACTIVE, leadv1.Stage_STAGE_SUPPRESSED, leadv1.Stage_STAGE_ERASED, leadv1.Stage_STAGE_MERGED:
		return true
	default:
		return false
	}
}

// IsNurturable reports whether marketing owns the lead: new, nurturing,
// rejected or recycled. Programs may contact it, if the gates agree.
func IsNurturable(s leadv1.Stage) bool {
	switch s {
	case leadv1.Stage_STAGE_NEW, leadv1.Stage_STAGE_NURTURING,
		leadv1.Stage_STAGE_REJECTED, leadv1.Stage_STAGE_RECYCLED:
		return true
	default:
		return false
	}
}

// prefix is what the generated names have and people's do not.
const prefix = "STAGE_"

// Name gives the stage's name for people and conditions, e.g. "NURTURING";
// empty for UNSPECIFIED.
func Name(s leadv1.Stage) string {
	if s == leadv1.Stage_STAGE_UNSPECIFIED {
		return ""
	}
	return strings.TrimPrefix(s.String(), prefix)
}

// Parse reads a name as Name gives it, in any case. The error lists the names.
func Parse(name string) (leadv1.Stage, error) {
	n, ok := leadv1.Stage_value[prefix+strings.ToUpper(strings.TrimSpace(name))]
	if !ok || n == 0 {
		return 0, fmt.Errorf("unknown stage %q: use one of %s", name, strings.Join(Names(), ", "))
	}
	return leadv1.Stage(n), nil
}

// All lists the stages in the order of a lead's life, without UNSPECIFIED.
func All() []leadv1.Stage {
	all := make([]leadv1.Stage, 0, len(leadv1.Stage_name)-1)
	for n := int32(1); leadv1.Stage_name[n] != ""; n++ {
		all = append(all, leadv1.Stage(n))
	}
	return all
}

// Names lists the names of All.
func Names() []string {
	all := All()
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = Name(s)
	}
	return names
}
