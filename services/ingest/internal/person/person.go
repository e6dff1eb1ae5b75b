// Package person decides what one event changes about one person. It is pure:
// a command and the state before it give the state after it and the facts.
package person

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
	"github.com/nurturehq/nurture/services/ingest/internal/signal"
)

// Reasons of a decision, shown to people.
const (
	// ReasonCaptured: the lead exists from now on.
	ReasonCaptured = "captured"
	// ReasonSuppressed: the lead must not be contacted from now on.
	ReasonSuppressed = "suppressed"
	// ReasonConsent: an answer to a purpose was recorded.
	ReasonConsent = "consent_recorded"
	// ReasonIdentified: more is known about the person.
	ReasonIdentified = "identified"
	// ReasonActivity: the person did something.
	ReasonActivity = "activity_recorded"
	// ReasonRehoused: the lead belongs to another account by a person's word.
	ReasonRehoused = "rehoused"
	// ReasonErased: the person was forgotten.
	ReasonErased = "erased"
	// ReasonStillSo: everything told was known, but not that it still holds.
	ReasonStillSo = "still_so"
	// ReasonRepeated: the event was recorded before the lead was merged.
	ReasonRepeated = "repeated"
	// ReasonNothingNew: everything told was known.
	ReasonNothingNew = "nothing_new"
	// ReasonNoWakeUp: ingest waits for nothing, so a wake-up is a stray one.
	ReasonNoWakeUp = "no_wake_up_expected"
)

// Bounds of what a state keeps.
const (
	maxIDs     = 50
	maxEmails  = 20
	maxPhones  = 20
	maxDetails = 64
)

// Change is a decision about a person.
type Change = ledger.Change[*ingestv1.State]

// New makes the state of a lead never seen.
func New() *ingestv1.State { return &ingestv1.State{} }

// Fold applies one command without any consent policy. now is the receive time.
func Fold(st *ingestv1.State, in ledger.Input, now time.Time) (Change, error) {
	return Folding(nil, nil)(st, in, now)
}

// Folding gives the fold that decides by consent policies and rules of signals.
// Those of a command are named in it, so that folding it again decides the same.
func Folding(policies Policies, signals Signals) ledger.Fold[*ingestv1.State] {
	fold := signals.heed(func(st *ingestv1.State, in ledger.Input, now time.Time) (Change, error) {
		return apply(policies, signals, st, in, now)
	})
	return func(st *ingestv1.State, in ledger.Input, now time.Time) (Change, error) {
		share(st)
		return fold(st, in, now)
	}
}

func apply(policies Policies, signals Signals, st *ingestv1.State, in ledger.Input, now time.Time) (Change, error) {
	if in.Kind == KindErase {
		return erase(st, in, now)
	}
	if st.GetErasedAt() != nil {
		return Change{}, fmt.Errorf("lead %s: %w", in.Lead, ErrErased)
	}
	cmd := &ingestv1.Apply{}
	if err := proto.Unmarshal(in.Data, cmd); err != nil {
		return Change{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	if st.GetLead() == nil && cmd.GetMustExist() {
		return Change{}, fmt.Errorf("lead %s: %w", in.Lead, ErrUnknownLead)
	}
	f := &fold{st: st, in: in, cmd: cmd, now: now, at: Clamp(cmd.GetCapture().GetOccurredAt(), now)}
	if policies != nil && cmd.GetPolicy() != "" {
		var err error
		if f.policy, err = policies(cmd.GetPolicy()); err != nil {
			return Change{}, ledger.Transient(err)
		}
	}
	if cmd.GetSignals() != "" {
		st.Signals = cmd.GetSignals()
	}
	rules, err := signals.find(st.GetSignals())
	if err != nil {
		return Change{}, err
	}
	f.rules = rules
	if cmd.GetStep() != nil {
		return f.step()
	}
	if m := st.GetMergedInto(); m != nil {
		return Change{}, &MovedError{Lead: in.Lead, Into: m.GetIntoLeadId()}
	}
	if r := cmd.GetRehouse(); r != nil {
		return f.rehouse(r)
	}
	if f.repeated() {
		return ledger.Unchanged[*ingestv1.State](ReasonRepeated), nil
	}
	if err := f.apply(); err != nil {
		return Change{}, err
	}
	switch {
	case len(f.events) > 0:
	case f.moved:
		f.reason = ReasonStillSo
	default:
		return ledger.Unchanged[*ingestv1.State](ReasonNothingNew), nil
	}
	f.st.Lead.UpdatedAt = timestamppb.New(now)
	return Change{State: f.st, Events: f.events, Reason: f.reason}, nil
}

// fold is one command being applied.
type fold struct {
	st     *ingestv1.State
	in     ledger.Input
	cmd    *ingestv1.Apply
	now    time.Time
	at     *timestamppb.Timestamp
	policy *consent.Policy // nil: permissions stay as they are
	rules  *signal.Rules   // nil: nothing is judged
	events []proto.Message
	reason string

	// part is what the lead that the event is about has told; parts are those of
	// all leads that are this person.
	part  *ingestv1.Part
	parts []*ingestv1.Part
	// before is the picture of the lead before the event, when it has several parts.
	before *leadv1.Lead
	// account is the one that the lead belonged to before.
	account string
	// changed names what the event changed in its part, moved says that anything did.
	changed []string
	moved   bool
}

func (f *fold) apply() error {
	f.capture()
	if err := f.open(); err != nil {
		return err
	}
	f.identify()
	f.close()
	f.identified()
	f.allow()
	f.act()
	if len(f.parts) > 1 {
		f.close()
	}
	return nil
}

// allow is about what the person allows: that is decided on all that is known of
// them, whichever lead they told it as.
func (f *fold) allow() {
	lead := f.st.Lead
	was := lead.GetSuppression()
	f.withdraw()
	f.consent()
	f.mailed()
	f.suppress()
	f.consentAct()
	f.permit()
	if len(f.parts) > 1 && consent.Weight(lead.GetSuppression()) < consent.Weight(was) {
		f.free()
	}
}

// forbid enters a suppression into the part that told it, also when another part
// has forbidden more: they may separate.
func (f *fold) forbid(s leadv1.Suppression, at *timestamppb.Timestamp) {
	l := f.part.Lead
	if told := (&leadv1.Lead{Suppression: s, SuppressedAt: at}); forbidsMore(told, l) {
		l.Suppression, l.SuppressedAt, f.moved = s, at, true
	}
}

// free lifts for all parts what was lifted just now: it is one mailbox.
func (f *fold) free() {
	for _, p := range f.parts {
		p.Lead.Suppression, p.Lead.SuppressedAt = f.st.Lead.GetSuppression(), f.st.Lead.GetSuppressedAt()
	}
}

// open finds the part of the lead whose identity led here.
func (f *fold) open() error {
	f.parts = Parts(f.st)
	f.part, f.account = f.parts[0], f.st.Lead.GetAccountId()
	if origin := f.cmd.GetOrigin(); origin != "" && origin != f.in.Lead {
		i := slices.IndexFunc(f.parts, func(p *ingestv1.Part) bool { return p.GetLead().GetLeadId() == origin })
		if i < 0 {
			return &GoneError{Lead: f.in.Lead, Origin: origin}
		}
		f.part = f.parts[i]
	}
	if f.part.Times == nil {
		f.part.Times = &ingestv1.Times{}
	}
	if f.part.Lead.Profile == nil {
		f.part.Lead.Profile = &leadv1.Profile{}
	}
	if len(f.parts) > 1 {
		f.before = f.st.Lead
	}
	return nil
}

// close makes the picture of the lead anew.
func (f *fold) close() { combine(f.st, f.parts) }

// repeated reports whether the event was recorded elsewhere before: by the lead
// it is about, before that one was merged into this one, or while it was.
func (f *fold) repeated() bool {
	about := cmp.Or(f.cmd.GetOrigin(), f.in.Lead)
	i := slices.IndexFunc(f.st.GetParts(), func(p *ingestv1.Part) bool { return p.GetLead().GetLeadId() == about })
	return i >= 0 && slices.Contains(f.st.Parts[i].GetRecentIds(), ledger.HashID(f.in.ID))
}

// add records a fact. The first reason given stays: facts are added in the
// order of their weight.
func (f *fold) add(reason string, e *ingestv1.Event) {
	e.Source = f.cmd.GetCapture().GetSource()
	if origin := f.cmd.GetOrigin(); origin != f.in.Lead {
		e.OriginLeadId = origin
	}
	if e.OccurredAt == nil {
		e.OccurredAt = f.at
	}
	f.events = append(f.events, e)
	if f.reason == "" {
		f.reason = reason
	}
}

// capture begins the lead.
func (f *fold) capture() {
	if f.st.GetLead().GetCreatedAt() != nil || len(f.st.GetParts()) > 0 {
		return
	}
	c := f.cmd.GetCapture()
	f.st.Lead = &leadv1.Lead{
		LeadId:    f.in.Lead,
		Profile:   &leadv1.Profile{},
		Source:    c.GetSource(),
		CreatedAt: timestamppb.New(f.now),
	}
	f.add(ReasonCaptured, &ingestv1.Event{Fact: &ingestv1.Event_Captured{
		Captured: &ingestv1.Captured{ExternalId: c.GetExternalId()},
	}})
}

// act records what the person did.
func (f *fold) act() {
	a := f.cmd.GetCapture().GetActivity()
	if a == nil {
		return
	}
	if a.GetId() == "" {
		a.Id = f.in.ID
	}
	a.Source = f.cmd.GetCapture().GetSource()
	a.ReceivedAt = timestamppb.New(f.now)
	if a.GetOccurredAt() == nil {
		a.OccurredAt = f.at
	}
	a.OccurredAt = Clamp(a.GetOccurredAt(), f.now)
	f.hold(a)
	l := f.part.Lead
	l.Activities++
	if seen(a) && l.GetLastSeenAt().AsTime().Before(a.GetOccurredAt().AsTime()) {
		l.LastSeenAt = a.GetOccurredAt()
	}
	f.add(ReasonActivity, &ingestv1.Event{OccurredAt: a.GetOccurredAt(), Fact: &ingestv1.Event_Activity{Activity: a}})
	f.overflow()
}

// seen reports whether the person did it, not we and not a machine.
func seen(a *leadv1.Activity) bool {
	switch a.GetType() {
	case "email_sent", emailDelivered, "email_deferred", emailBounced:
		return false
	}
	return !a.GetMachine() && !a.GetPending()
}
