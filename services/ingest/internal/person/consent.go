package person

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
)

// Reasons of decisions about consents.
const (
	// ReasonConfirmed: a consent was confirmed from the mailbox.
	ReasonConfirmed = "consent_confirmed"
	// ReasonConfirmationAsked: a confirmation mail is wanted.
	ReasonConfirmationAsked = "confirmation_asked"
	// ReasonLifted: contact is no longer forbidden.
	ReasonLifted = "suppression_lifted"
)

// patienceSuppressed is the shortest time between two confirmation mails to
// somebody who had left: a stranger who types their address is a nuisance at
// most once a day.
const patienceSuppressed = 24 * time.Hour

// Policies finds a consent policy by its content hash. An error is passing.
type Policies func(hash string) (*consent.Policy, error)

// consent records every answer as proof; the state keeps the latest one per
// purpose, and of two at the same time the withdrawal.
func (f *fold) consent() {
	var asked []*leadv1.Consent
	for _, c := range f.cmd.GetCapture().GetConsents() {
		c.At = consentTime(c, f)
		f.request(c)
		if f.answer(c) && c.GetPending() {
			asked = append(asked, c)
		}
	}
	f.ask(asked)
}

// answer records one answer and reports whether it is the one that counts. The
// part that told it keeps it also when another part's counts: they may separate.
func (f *fold) answer(c *leadv1.Consent) (counts bool) {
	if len(f.parts) > 1 {
		f.part.Lead.Consents, _ = consent.Latest(f.part.Lead.GetConsents(), c)
	}
	f.st.Lead.Consents, counts = consent.Latest(f.st.Lead.GetConsents(), c)
	f.add(ReasonConsent, &ingestv1.Event{OccurredAt: c.GetAt(), Fact: &ingestv1.Event_Consent{Consent: c}})
	return counts
}

// request makes an answer wait when the policy wants it confirmed. A request
// stays the same until somebody answers it, so that every mail about it works.
func (f *fold) request(c *leadv1.Consent) {
	if f.policy == nil || !f.needsConfirmation(c) {
		return
	}
	have := consent.Of(f.st.Lead.GetConsents(), c.GetPurpose())
	suppressed := f.st.Lead.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED
	if have.GetGranted() && !suppressed {
		c.RequestId, c.RequestedAt = have.GetRequestId(), have.GetRequestedAt()
		return // confirmed before, or from before confirmations were needed
	}
	c.Granted, c.Pending = false, true
	if have.GetPending() && have.GetRequestedAt().AsTime().Before(c.GetAt().AsTime()) && !f.leftSince(have) {
		c.RequestId, c.RequestedAt, c.AskedAt = have.GetRequestId(), have.GetRequestedAt(), have.GetAskedAt()
		return
	}
	f.st.Requests++
	c.RequestId = fmt.Sprintf("%s-c%d", f.in.Lead, f.st.GetRequests())
	c.RequestedAt, c.AskedAt = c.GetAt(), lastAsked(f.st.Lead.GetConsents())
}

// needsConfirmation: besides the policy, whoever had left comes back only
// through the mailbox, whatever way they say so.
func (f *fold) needsConfirmation(c *leadv1.Consent) bool {
	if c.GetGranted() && c.GetMethod() != consent.MethodDoubleOptIn && c.GetMethod() != consent.MethodImport &&
		f.st.Lead.GetSuppression() == leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED {
		return f.policy.Purpose(c.GetPurpose()).Channel == consent.ChannelEmail
	}
	return f.policy.NeedsConfirmation(c, f.st.Lead.GetProfile().GetCountry())
}

// leftSince reports whether the person left after a request: a later request
// must not ride on it.
func (f *fold) leftSince(have *leadv1.Consent) bool {
	return f.st.Lead.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED &&
		!f.st.Lead.GetSuppressedAt().AsTime().Before(have.GetRequestedAt().AsTime())
}

func lastAsked(have []*leadv1.Consent) (at *timestamppb.Timestamp) {
	for _, c := range have {
		if c.GetAskedAt() != nil && c.GetAskedAt().AsTime().After(at.AsTime()) {
			at = c.GetAskedAt()
		}
	}
	return at
}

// ask wants a confirmation mail for what waits, unless one was wanted a moment
// ago: nobody's mailbox is filled by whoever fills in forms.
func (f *fold) ask(pending []*leadv1.Consent) {
	if len(pending) == 0 || f.policy == nil || f.st.Lead.GetProfile().GetEmail() == "" {
		return
	}
	patience := f.policy.AskAgain
	switch f.st.Lead.GetSuppression() {
	case leadv1.Suppression_SUPPRESSION_UNSPECIFIED:
	case leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED:
		patience = max(patience, patienceSuppressed)
	default:
		return // whoever complained or bounced gets no mail at all
	}
	if last := lastAsked(f.st.Lead.GetConsents()); last != nil && f.now.Before(last.AsTime().Add(patience)) {
		return
	}
	e := &ingestv1.ConfirmationAsked{}
	for _, c := range pending {
		c.AskedAt = timestamppb.New(f.now)
		e.Purposes = append(e.Purposes, c.GetPurpose())
		if !slices.Contains(e.RequestIds, c.GetRequestId()) {
			e.RequestIds = append(e.RequestIds, c.GetRequestId())
		}
	}
	f.add(ReasonConfirmationAsked, &ingestv1.Event{Fact: &ingestv1.Event_ConfirmationAsked{ConfirmationAsked: e}})
}

// consentAct does what a command wants besides recording answers.
func (f *fold) consentAct() {
	act := f.cmd.GetConsentAct()
	if act == nil {
		return
	}
	f.confirm(act)
	if act.GetWithdrawAll() {
		f.withdrawAll(act.GetHow())
	}
	if act.GetAskAgain() {
		f.ask(waiting(f.st.Lead))
	}
	if act.GetLift() != nil && f.st.Lead.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
		f.lift(act.GetLift())
	}
}

// waiting lists the answers that wait for a confirmation.
func waiting(lead *leadv1.Lead) (pending []*leadv1.Consent) {
	for _, c := range lead.GetConsents() {
		if c.GetPending() {
			pending = append(pending, c)
		}
	}
	return pending
}

// confirm grants what waits under the requests that the person confirmed. The
// words are those of the request; where and how are those of the confirmation.
func (f *fold) confirm(act *ingestv1.ConsentAct) {
	for _, c := range waiting(f.st.Lead) {
		if !slices.Contains(act.GetConfirm(), c.GetRequestId()) || f.barred(c) {
			continue
		}
		yes, how := proto.CloneOf(c), act.GetHow()
		yes.Granted, yes.Pending, yes.Method, yes.At = true, false, consent.MethodDoubleOptIn, f.at
		yes.SourceUrl, yes.Ip, yes.UserAgent, yes.Proof = how.GetSourceUrl(), how.GetIp(), how.GetUserAgent(), how.GetProof()
		if f.answer(yes) {
			f.reason = ReasonConfirmed
			f.relieve(c)
		}
	}
}

// barred reports whether a confirmation cannot count: mails are forbidden for a
// reason that no click lifts, or the person left after asking.
func (f *fold) barred(c *leadv1.Consent) bool {
	s := f.st.Lead.GetSuppression()
	return s != leadv1.Suppression_SUPPRESSION_UNSPECIFIED &&
		!consent.Lifts(s, f.st.Lead.GetSuppressedAt().AsTime(), c.GetRequestedAt().AsTime())
}

// relieve lifts what a confirmed request lifts.
func (f *fold) relieve(c *leadv1.Consent) {
	s := f.st.Lead.GetSuppression()
	if s != leadv1.Suppression_SUPPRESSION_UNSPECIFIED && !f.barred(c) {
		f.lift(&ingestv1.SuppressionLifted{Was: s, Reason: consent.MethodDoubleOptIn})
	}
}

func (f *fold) lift(l *ingestv1.SuppressionLifted) {
	l.Was = f.st.Lead.GetSuppression()
	f.st.Lead.Suppression, f.st.Lead.SuppressedAt = leadv1.Suppression_SUPPRESSION_UNSPECIFIED, nil
	f.add(ReasonLifted, &ingestv1.Event{Fact: &ingestv1.Event_SuppressionLifted{SuppressionLifted: l}})
}

// withdrawAll takes back every purpose that is configured or was answered.
func (f *fold) withdrawAll(how *leadv1.Consent) {
	var purposes []string
	if f.policy != nil {
		for _, p := range f.policy.Purposes() {
			purposes = append(purposes, p.ID)
		}
	}
	for _, c := range f.st.Lead.GetConsents() {
		purposes = append(purposes, c.GetPurpose())
	}
	slices.Sort(purposes)
	for _, purpose := range slices.Compact(purposes) {
		if have := consent.Of(f.st.Lead.GetConsents(), purpose); have != nil && consent.Withdrawn(have) {
			continue
		}
		no := &leadv1.Consent{}
		if how != nil {
			no = proto.CloneOf(how)
		}
		no.Purpose, no.Granted, no.At = purpose, false, f.at
		f.answer(no)
	}
}

// suppress forbids contact. Only a stronger reason replaces one that is there.
func (f *fold) suppress() {
	s, at, listed := f.cmd.GetSuppression(), f.at, false
	if e := f.cmd.GetAddress(); consent.Weight(e.GetReason()) > consent.Weight(s) {
		s, at, listed = e.GetReason(), e.GetAt(), true
	}
	if len(f.parts) > 1 && consent.Weight(s) > 0 {
		f.forbid(s, at)
	}
	if consent.Weight(s) <= consent.Weight(f.st.Lead.GetSuppression()) {
		f.leaveAgain(s, at)
		return
	}
	f.st.Lead.Suppression, f.st.Lead.SuppressedAt = s, at
	f.add(ReasonSuppressed, &ingestv1.Event{OccurredAt: at, Fact: &ingestv1.Event_Suppressed{
		Suppressed: &ingestv1.Suppressed{Reason: s, Address: listed},
	}})
}

// leaveAgain: who leaves once more after asking to come back has left since.
func (f *fold) leaveAgain(s leadv1.Suppression, at *timestamppb.Timestamp) {
	l := f.st.Lead
	if s == leadv1.Suppression_SUPPRESSION_UNSPECIFIED || s != l.GetSuppression() || !at.AsTime().After(l.GetSuppressedAt().AsTime()) {
		return
	}
	l.SuppressedAt = at
	f.add(ReasonSuppressed, &ingestv1.Event{OccurredAt: at, Fact: &ingestv1.Event_Suppressed{
		Suppressed: &ingestv1.Suppressed{Reason: s},
	}})
}

// permit keeps with the lead what the policy makes of all this.
func (f *fold) permit() {
	if f.policy != nil {
		f.st.Lead.Permissions = f.policy.Permissions(f.st.Lead)
	}
}

// consentTime believes a sender's date of a consent however old it is: it is
// part of the proof. Only the future is not believed.
func consentTime(c *leadv1.Consent, f *fold) *timestamppb.Timestamp {
	at := c.GetAt()
	if at == nil || !at.IsValid() {
		return f.at
	}
	if at.AsTime().After(f.now) {
		return timestamppb.New(f.now)
	}
	return at
}
