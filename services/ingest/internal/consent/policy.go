package consent

import (
	"slices"
	"strings"
	"time"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// ChannelEmail is the channel that suppression is about.
const ChannelEmail = "email"

// Reason names why a purpose may be used or not; shown to people.
type Reason string

// The reasons.
const (
	// Granted: the person said yes, and confirmed it where that is needed.
	Granted Reason = "granted"
	// OptOutBasis: the law of the country allows it until somebody says no.
	OptOutBasis Reason = "opt_out_basis"
	// ByInterest: there is a legitimate interest, until somebody says no.
	ByInterest Reason = "legitimate_interest"
	// ByContract: the source has a contract with the person that wants it.
	ByContract Reason = "contract"
	// NotGranted: nobody has answered, and a yes is needed.
	NotGranted Reason = "not_granted"
	// AwaitingConfirmation: said, and not yet confirmed from the mailbox.
	AwaitingConfirmation Reason = "awaiting_confirmation"
	// TakenBack: the person said no.
	TakenBack Reason = "withdrawn"
	// SuppressedAddress: no mail goes to this address, whatever the consent says.
	SuppressedAddress Reason = "suppressed_address"
)

// Basis is what holds while nobody has answered.
type Basis string

// The bases.
const (
	OptIn              Basis = "opt_in"
	OptOut             Basis = "opt_out"
	LegitimateInterest Basis = "legitimate_interest"
)

// Where a purpose needs a double opt-in.
const (
	byJurisdiction = "by_jurisdiction"
	always         = "always"
	never          = "never"
)

// Policy is one version of consent.yaml, ready for use. It does not change.
type Policy struct {
	// Version is the content hash of Raw, 24 hexadecimal digits.
	Version string
	Raw     []byte
	// Expires is how long the link of a confirmation mail can be used, AskAgain
	// the shortest time between two such mails to a lead.
	Expires, AskAgain time.Duration
	purposes          []Purpose
	countries         map[string]jurisdiction
	otherwise         jurisdiction
}

// Purpose is what people are asked for.
type Purpose struct {
	ID, Title, Description, Channel string
	basis                           Basis
	doubleOptIn                     string
}

type jurisdiction struct {
	basis       Basis
	doubleOptIn bool
}

// Purposes lists the configured purposes, sorted by id.
func (p *Policy) Purposes() []Purpose { return p.purposes }

// Purpose gives a purpose by its id. One that is not configured is an e-mail
// purpose that needs a yes.
func (p *Policy) Purpose(id string) Purpose {
	i, found := slices.BinarySearchFunc(p.purposes, id, func(have Purpose, id string) int { return strings.Compare(have.ID, id) })
	if !found {
		return Purpose{ID: id, Title: id, Channel: ChannelEmail, basis: OptIn, doubleOptIn: byJurisdiction}
	}
	return p.purposes[i]
}

func (p *Policy) law(country string) jurisdiction {
	if j, ok := p.countries[country]; ok {
		return j
	}
	return p.otherwise
}

// NeedsConfirmation reports whether a yes that came this way counts only when it
// is confirmed from the mailbox. What staff imports and what is answered from a
// mail's own link has its proof elsewhere.
func (p *Policy) NeedsConfirmation(c *leadv1.Consent, country string) bool {
	switch c.GetMethod() {
	case MethodDoubleOptIn, MethodImport, MethodPage, MethodProvider, MethodOneClick, MethodInterest, MethodContract:
		return false
	}
	purpose := p.Purpose(c.GetPurpose())
	switch {
	case !c.GetGranted() || purpose.Channel != ChannelEmail || purpose.doubleOptIn == never:
		return false
	case purpose.doubleOptIn == always:
		return true
	}
	return p.law(country).doubleOptIn
}

// Decide says whether a purpose may be used for a lead now, and why.
func (p *Policy) Decide(id string, lead *leadv1.Lead) *leadv1.Permission {
	purpose, answer := p.Purpose(id), Of(lead.GetConsents(), id)
	perm := &leadv1.Permission{Purpose: id, Since: answer.GetAt()}
	suppressed := purpose.Channel == ChannelEmail && lead.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED
	perm.Allowed, perm.Reason = p.decide(purpose, answer, lead.GetProfile().GetCountry(), suppressed)
	return perm
}

func (p *Policy) decide(purpose Purpose, answer *leadv1.Consent, country string, suppressed bool) (bool, string) {
	allowed, reason := false, NotGranted
	switch basis := p.law(country).basis; {
	case suppressed:
		reason = SuppressedAddress
	case answer.GetMethod() == MethodContract:
		allowed, reason = true, ByContract
	case answer.GetMethod() == MethodInterest: // where the law asks for a yes, this is none
		if basis != OptIn && purpose.basis != OptIn {
			allowed, reason = true, ByInterest
		}
	case answer.GetGranted():
		allowed, reason = true, Granted
	case answer.GetPending():
		reason = AwaitingConfirmation
	case answer != nil:
		reason = TakenBack
	case purpose.basis == OptIn:
	case basis == OptOut:
		allowed, reason = true, OptOutBasis
	case basis == LegitimateInterest:
		allowed, reason = true, ByInterest
	}
	return allowed, string(reason)
}

// Permissions decides about every purpose that is configured or was answered,
// sorted by purpose.
func (p *Policy) Permissions(lead *leadv1.Lead) []*leadv1.Permission {
	ids := make([]string, 0, len(p.purposes)+len(lead.GetConsents()))
	for _, purpose := range p.purposes {
		ids = append(ids, purpose.ID)
	}
	for _, c := range lead.GetConsents() {
		ids = append(ids, c.GetPurpose())
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	perms := make([]*leadv1.Permission, 0, len(ids))
	for _, id := range ids {
		perms = append(perms, p.Decide(id, lead))
	}
	return perms
}
