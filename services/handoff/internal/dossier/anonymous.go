package dossier

import (
	"slices"

	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

// Anonymous is a dossier without the person: what they are worth and why, what we
// did and what sales does, but not who they are, where they came from, what they
// agreed to, what they did or what sales wrote about them. These parts are named in
// missing: whoever may know them asks GetDossier.
func Anonymous(d *handoffv1.Dossier) *handoffv1.Dossier {
	missing := append([]string{PartLead, PartTimeline}, d.GetMissing()...)
	stay := Bare(d.GetHandoff())
	if stay.GetText() != "" {
		stay = proto.CloneOf(stay)
		stay.Text, missing = "", append(missing, PartText)
	}
	slices.Sort(missing)
	return &handoffv1.Dossier{
		LeadId: d.GetLeadId(), Score: d.GetScore(), Reasons: d.GetReasons(), Verdict: d.GetVerdict(),
		Programs: d.GetPrograms(), Touches: d.GetTouches(), Handoff: stay, Missing: slices.Compact(missing),
	}
}
