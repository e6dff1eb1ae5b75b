package dossier

import (
	"slices"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

// Anonymous is a dossier without the person: what they are worth and why, what we
// did and what sales does, but not who they are, where they came from, what they
// agreed to or what they did. These parts are named in missing: whoever may know
// them asks GetDossier.
func Anonymous(d *handoffv1.Dossier) *handoffv1.Dossier {
	missing := append([]string{PartLead, PartTimeline}, d.GetMissing()...)
	slices.Sort(missing)
	return &handoffv1.Dossier{
		LeadId: d.GetLeadId(), Score: d.GetScore(), Reasons: d.GetReasons(), Verdict: d.GetVerdict(),
		Programs: d.GetPrograms(), Touches: d.GetTouches(), Handoff: d.GetHandoff(), Missing: slices.Compact(missing),
	}
}
