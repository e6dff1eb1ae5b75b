package desk

import (
	"slices"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Gate says what keeps a qualified lead from sales: Clear when nothing about
// the lead does. Suppression comes first, because no other remedy lifts it.
func (p Policy) Gate(facts *leadv1.Facts) Reason {
	if facts == nil {
		return LeadUnknown
	}
	switch {
	case facts.GetSuppressed():
		return Suppressed
	case facts.GetTest():
		return TestLead
	case facts.GetOwnStaff():
		return OwnStaff
	case facts.GetCompetitor():
		return Competitor
	}
	for _, f := range p.Require {
		if why := missing(f, facts); why != Clear {
			return why
		}
	}
	for _, purpose := range p.Consent {
		if !slices.Contains(facts.GetConsents(), purpose) {
			return NoConsent
		}
	}
	return Clear
}

func missing(f Field, facts *leadv1.Facts) Reason {
	switch {
	case f == FieldEmail && !facts.GetHasEmail():
		return MissingEmail
	case f == FieldPhone && !facts.GetHasPhone():
		return MissingPhone
	case f == FieldName && !facts.GetHasName():
		return MissingName
	case f == FieldCompany && !facts.GetHasCompany():
		return MissingCompany
	default:
		return Clear
	}
}

// gate is Gate and the router's answer together.
func (p Policy) gate(view *handoffv1.RoutingView) Reason {
	if why := p.Gate(view.GetLead().GetLead()); why != Clear {
		return why
	}
	switch {
	case view.GetRep() != "":
		return Clear
	case view.GetRoutedBy() != "":
		return Reason(view.GetRoutedBy())
	default:
		return NoCapacity
	}
}

// WaitsForRep reports whether a held lead could go on if a rep were free.
func WaitsForRep(h *handoffv1.Handoff) bool {
	why := Reason(h.GetReason())
	return h.GetStatus() == handoffv1.HandoffStatus_HANDOFF_STATUS_HELD && (why == NoCapacity || why == NoRepMatches)
}

// CountsAsLoad reports whether a handoff takes up a rep's capacity: assigned
// and not answered, or accepted and not settled.
func CountsAsLoad(h *handoffv1.Handoff) bool {
	s := h.GetStatus()
	return s == handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED || s == handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED
}
