// Package gate decides about one touch at the moment of sending. The gates stand
// in one fixed order and the first that speaks decides: suppression, consent,
// stage, quiet hours, frequency cap. A gate that only asks for another moment
// defers the touch; when that would take too long the touch is skipped.
package gate

import (
	"slices"
	"time"

	"github.com/nurturehq/nurture/pkg/stage"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Reason names a decision. It is shown to people and kept with the touch.
type Reason string

// The reasons, in the order of the gates.
const (
	// Clear: every gate agreed.
	Clear Reason = "clear"
	// Suppressed: contact by e-mail is forbidden, whatever the consent says.
	Suppressed Reason = "suppressed"
	// NoEmail: there is no address to write to.
	NoEmail Reason = "no_email"
	// NoConsent: the person never agreed to the program's purpose, or took it back.
	NoConsent Reason = "no_consent"
	// Answered: there is nothing left to confirm.
	Answered Reason = "already_answered"
	// EnrollmentEnded: the lead left the program after the touch was planned.
	EnrollmentEnded Reason = "enrollment_ended"
	// WithSales: a sales rep owns the lead.
	WithSales Reason = "with_sales"
	// StageClosed: nobody should write to a lead in this stage.
	StageClosed Reason = "stage_closed"
	// QuietHours: it is night where the lead lives.
	QuietHours Reason = "quiet_hours"
	// Merged: the lead turned out to be another one, which goes on in its stead.
	Merged Reason = "merged"
	// SentBefore: the same person got this mail as a lead that was merged into it.
	SentBefore Reason = "sent_before_merge"
	// FrequencyCap: the lead got as many mails as the program allows.
	FrequencyCap Reason = "frequency_cap"
)

// MaxDefer is the reason of a touch that the named gate would have held back
// longer than the program allows.
func MaxDefer(by Reason) Reason { return "max_defer:" + by }

// Verdict is what to do with a touch.
type Verdict int

// The verdicts.
const (
	// Send it now.
	Send Verdict = iota + 1
	// Defer it until Decision.Until, then ask all gates again.
	Defer
	// Skip it for good; the journey goes on.
	Skip
)

// Decision is the verdict and why.
type Decision struct {
	Verdict Verdict
	Reason  Reason
	// Until is when to ask again; zero unless deferred.
	Until time.Time
}

// Cap allows at most Max touches of a lead within any window of length Per,
// whichever programs sent them. A Max of 0 means no limit.
type Cap struct {
	Max int
	Per time.Duration
}

// Rules are what a program says about its touches.
type Rules struct {
	// Purpose is what the person must have agreed to, e.g. "marketing_email".
	Purpose string
	// Transactional: the mail asks for the confirmation of what the person just
	// said. It needs no consent and no stage; suppression beats it all the same.
	Transactional bool
	// Quiet is nil when the program may write at any hour.
	Quiet *Quiet
	Cap   Cap
	// MaxDefer is how long a touch may be held back, counted from its plan.
	MaxDefer time.Duration
}

// Facts are what is known about the lead at the moment of sending.
type Facts struct {
	Now  time.Time
	Lead *leadv1.Lead
	// Enrolled is false when the lead left the program since the plan.
	Enrolled bool
	Stage    leadv1.Stage
	// Zone is where the lead lives: its own zone, or the fallback.
	Zone *time.Location
	// Sends are the times of earlier touches, oldest first.
	Sends []time.Time
	// PlannedAt is when the touch was first planned.
	PlannedAt time.Time
}

// Decide asks the gates in their order.
func Decide(r Rules, f Facts) Decision {
	if reason := Forbidden(r, f.Lead); reason != Clear {
		return Decision{Verdict: Skip, Reason: reason}
	}
	if reason := ownership(r, f); reason != Clear {
		return Decision{Verdict: Skip, Reason: reason}
	}
	if until, quiet := r.Quiet.Until(f.Now, f.Zone); quiet {
		return hold(r, f, QuietHours, until)
	}
	if until, capped := r.Cap.Until(f.Now, f.Sends); capped {
		return hold(r, f, FrequencyCap, until)
	}
	return Decision{Verdict: Send, Reason: Clear}
}

// Forbidden asks only the gates that beat everything, suppression and consent:
// they are asked once more after the claim. Clear means that contact is allowed.
func Forbidden(r Rules, lead *leadv1.Lead) Reason {
	switch {
	case r.Transactional:
		return unanswered(lead)
	case lead.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED:
		return Suppressed
	case lead.GetProfile().GetEmail() == "":
		return NoEmail
	default:
		return permission(lead, r.Purpose)
	}
}

// unanswered asks whether a confirmation mail may be sent: something waits, and
// nothing but the person's own leaving, before they asked again, stands against it.
func unanswered(lead *leadv1.Lead) Reason {
	waits, asked := false, false
	for _, c := range lead.GetConsents() {
		waits = waits || c.GetPending()
		asked = asked || c.GetPending() && c.GetRequestedAt().AsTime().After(lead.GetSuppressedAt().AsTime())
	}
	left := lead.GetSuppression() == leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED
	switch {
	case lead.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED && (!left || !asked):
		return Suppressed
	case lead.GetProfile().GetEmail() == "":
		return NoEmail
	case !waits:
		return Answered
	}
	return Clear
}

// permission asks what ingest worked out; an ingest that knows no policy leaves
// it to the answers themselves.
func permission(lead *leadv1.Lead, purpose string) Reason {
	for _, p := range lead.GetPermissions() {
		if p.GetPurpose() == purpose {
			if p.GetAllowed() {
				return Clear
			}
			return Reason(p.GetReason())
		}
	}
	if consents(lead, purpose) {
		return Clear
	}
	return NoConsent
}

func consents(lead *leadv1.Lead, purpose string) bool {
	return slices.ContainsFunc(lead.GetConsents(), func(c *leadv1.Consent) bool {
		return c.GetPurpose() == purpose && c.GetGranted()
	})
}

func ownership(r Rules, f Facts) Reason {
	switch {
	case r.Transactional && f.Enrolled:
		return Clear
	case stage.IsWithSales(f.Stage):
		return WithSales
	case stage.IsClosed(f.Stage):
		return StageClosed
	case !f.Enrolled:
		return EnrollmentEnded
	default:
		return Clear
	}
}

func hold(r Rules, f Facts, by Reason, until time.Time) Decision {
	if until.Sub(f.PlannedAt) > r.MaxDefer {
		return Decision{Verdict: Skip, Reason: MaxDefer(by)}
	}
	return Decision{Verdict: Defer, Reason: by, Until: until}
}

// Until answers when the next touch is allowed, and whether the cap bites now.
// Times in sends are oldest first; each leaves the window exactly Per later.
func (c Cap) Until(now time.Time, sends []time.Time) (time.Time, bool) {
	if c.Max <= 0 {
		return time.Time{}, false
	}
	window := now.Add(-c.Per)
	first := slices.IndexFunc(sends, func(at time.Time) bool { return at.After(window) })
	if first < 0 || len(sends)-first < c.Max {
		return time.Time{}, false
	}
	return sends[len(sends)-c.Max].Add(c.Per), true
}
