// Package person decides what one event changes about one person. It is pure:
// a command and the state before it give the state after it and the facts.
package person

import (
	"errors"
	"fmt"
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
	// ReasonMerged: another lead turned out to be the same person.
	ReasonMerged = "merged"
	// ReasonSuppressed: the lead must not be contacted from now on.
	ReasonSuppressed = "suppressed"
	// ReasonConsent: an answer to a purpose was recorded.
	ReasonConsent = "consent_recorded"
	// ReasonIdentified: more is known about the person.
	ReasonIdentified = "identified"
	// ReasonActivity: the person did something.
	ReasonActivity = "activity_recorded"
	// ReasonErased: the person was forgotten.
	ReasonErased = "erased"
	// ReasonNothingNew: everything told was known.
	ReasonNothingNew = "nothing_new"
	// ReasonNoWakeUp: ingest waits for nothing, so a wake-up is a stray one.
	ReasonNoWakeUp = "no_wake_up_expected"
)

// Errors of a command.
var (
	// ErrUnknownLead: the command is about a lead that must exist and does not.
	ErrUnknownLead = errors.New("no such lead")
	// ErrErased: the person was forgotten; who comes again is a new lead.
	ErrErased = errors.New("the lead was erased")
	// ErrUndecodable: the command is not an encoded Apply.
	ErrUndecodable = errors.New("command cannot be read")
)

// How far a sender's clock may be believed, relative to the receive time.
const (
	oldest   = -30 * 24 * time.Hour
	furthest = 5 * time.Minute
)

// Bounds of what a state keeps.
const (
	maxIDs     = 50
	maxEmails  = 20
	maxMerged  = 100
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
	return signals.heed(func(st *ingestv1.State, in ledger.Input, now time.Time) (Change, error) {
		return apply(policies, signals, st, in, now)
	})
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
	f.apply()
	if len(f.events) == 0 {
		return ledger.Unchanged[*ingestv1.State](ReasonNothingNew), nil
	}
	f.st.Lead.UpdatedAt = timestamppb.New(now)
	return Change{State: f.st, Events: f.events, Reason: f.reason}, nil
}

// Clamp gives when something happened by the sender's clock, at most 30 days
// before and 5 minutes after it was received; the receive time when it is not
// said.
func Clamp(at *timestamppb.Timestamp, received time.Time) *timestamppb.Timestamp {
	if at == nil || !at.IsValid() {
		return timestamppb.New(received)
	}
	switch t := at.AsTime(); {
	case t.Before(received.Add(oldest)):
		return timestamppb.New(received.Add(oldest))
	case t.After(received.Add(furthest)):
		return timestamppb.New(received.Add(furthest))
	}
	return at
}

// Doubt names why a sender's time is not believed, "" when it is: Clamp then
// takes the nearest one that is.
func Doubt(at *timestamppb.Timestamp, received time.Time) string {
	if at == nil || !at.IsValid() {
		return ""
	}
	switch t := at.AsTime(); {
	case t.Before(received.Add(oldest)):
		return "clamped_late"
	case t.After(received.Add(furthest)):
		return "clamped_future"
	}
	return ""
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
}

func (f *fold) apply() {
	f.capture()
	f.identify()
	f.merge()
	f.withdraw()
	f.consent()
	f.mailed()
	f.suppress()
	f.consentAct()
	f.permit()
	f.act()
}

// add records a fact. The first reason given stays: facts are added in the
// order of their weight.
func (f *fold) add(reason string, e *ingestv1.Event) {
	e.Source = f.cmd.GetCapture().GetSource()
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
	if f.st.GetLead() != nil {
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

// merge remembers the leads that turned out to be this one.
func (f *fold) merge() {
	for _, m := range f.cmd.GetMerged() {
		from := m.GetFromLeadId()
		if from == f.in.Lead || !keep(&f.st.MergedFrom, from, maxMerged) {
			continue
		}
		f.add(ReasonMerged, &ingestv1.Event{Fact: &ingestv1.Event_Merged{Merged: m}})
	}
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
	l := f.st.Lead
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
