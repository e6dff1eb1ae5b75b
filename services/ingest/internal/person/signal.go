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

	"github.com/nurturehq/nurture/services/ingest/internal/signal"
)

// Reasons of decisions about signals.
const (
	// ReasonJudged: opens or clicks have their verdict.
	ReasonJudged = "hits_judged"
	// ReasonRejudged: other rules judge otherwise.
	ReasonRejudged = "judged_again"
	// ReasonFlagged: what is known of the address changed.
	ReasonFlagged = "flagged"
	// ReasonNotDue: what waits for a verdict still has to wait.
	ReasonNotDue = "verdict_not_due"
)

// flagged is the name under which a change of flags is told.
const flagged = "flags"

// maxHits bounds the opens and clicks that are kept for their verdict: of more,
// the oldest are judged at once.
const maxHits = 32

// Signals finds the rules of signals by their content hash. An error is passing.
type Signals func(hash string) (*signal.Rules, error)

// find gives the rules that a state is judged by; nil when it never was.
func (s Signals) find(hash string) (*signal.Rules, error) {
	if s == nil || hash == "" {
		return nil, nil //nolint:nilnil // no rules are valid rules
	}
	r, err := s(hash)
	if err != nil {
		return nil, ledger.Transient(err)
	}
	return r, nil
}

// heed makes a fold heed signals: it judges what is due, keeps the flags in step
// with the profile, and wants to be woken for the next verdict.
func (s Signals) heed(fold ledger.Fold[*ingestv1.State]) ledger.Fold[*ingestv1.State] {
	return func(st *ingestv1.State, in ledger.Input, now time.Time) (Change, error) {
		ch, err := s.change(fold, st, in, now)
		if err != nil || ch.Same || ch.Tombstone {
			return ch, err
		}
		rules, err := s.find(ch.State.GetSignals())
		if err != nil || rules == nil {
			return ch, err
		}
		if e := reflag(ch.State, rules, now); e != nil {
			ch.Events = append(ch.Events, e)
		}
		ch.WakeAt = wakeAt(ch.State, rules)
		return ch, nil
	}
}

func (s Signals) change(fold ledger.Fold[*ingestv1.State], st *ingestv1.State, in ledger.Input, now time.Time) (Change, error) {
	switch {
	case in.Due():
		return s.due(st, now)
	case in.Kind == KindRejudge:
		return s.rejudge(st, in, now)
	}
	return fold(st, in, now)
}

// due judges what has waited long enough.
func (s Signals) due(st *ingestv1.State, now time.Time) (Change, error) {
	rules, err := s.find(st.GetSignals())
	if err != nil {
		return Change{}, err
	}
	if rules == nil || !slices.ContainsFunc(st.GetHits(), (*leadv1.Activity).GetPending) {
		return ledger.Unchanged[*ingestv1.State](ReasonNoWakeUp), nil
	}
	j := &judging{st: st, rules: rules, now: now}
	j.conclude(func(a *leadv1.Activity) bool { return !now.Before(dueAt(a, rules)) })
	if len(j.events) == 0 {
		return ledger.Unchanged[*ingestv1.State](ReasonNotDue), nil
	}
	j.forget()
	st.Lead.UpdatedAt = timestamppb.New(now)
	return Change{State: st, Events: j.events, Reason: ReasonJudged}, nil
}

// rejudge judges by the rules of the command what it brings, and the address.
func (s Signals) rejudge(st *ingestv1.State, in ledger.Input, now time.Time) (Change, error) {
	cmd := &ingestv1.Apply{}
	if err := proto.Unmarshal(in.Data, cmd); err != nil {
		return Change{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	switch {
	case st.GetErasedAt() != nil:
		return Change{}, fmt.Errorf("lead %s: %w", in.Lead, ErrErased)
	case st.GetLead() == nil:
		return Change{}, fmt.Errorf("lead %s: %w", in.Lead, ErrUnknownLead)
	case st.GetMergedInto() != nil: // it says nothing any more
		return ledger.Unchanged[*ingestv1.State](ReasonNothingNew), nil
	}
	rules, err := s.find(cmd.GetSignals())
	if err != nil || rules == nil {
		return ledger.Unchanged[*ingestv1.State](ReasonNothingNew), err
	}
	st.Signals = cmd.GetSignals()
	j := &judging{st: st, rules: rules, now: now}
	j.again(cmd.GetRejudge().GetHits())
	reason := ReasonRejudged
	if e := reflag(st, rules, now); e != nil {
		if len(j.events) == 0 {
			reason = ReasonFlagged
		}
		j.events = append(j.events, e)
	}
	if len(j.events) == 0 {
		return ledger.Unchanged[*ingestv1.State](ReasonNothingNew), nil
	}
	st.Lead.UpdatedAt = timestamppb.New(now)
	return Change{State: st, Events: j.events, Reason: reason}, nil
}

// judging is one look at the hits of a lead.
type judging struct {
	st     *ingestv1.State
	rules  *signal.Rules
	now    time.Time
	events []proto.Message
}

// conclude gives the pending hits that are ripe their verdict, and overrules
// those given a moment ago that look otherwise now.
func (j *judging) conclude(ripe func(*leadv1.Activity) bool) {
	hits := j.st.GetHits()
	isDue := func(a *leadv1.Activity) bool { return a.GetPending() && ripe(a) }
	for _, group := range signal.ByMail(hits) {
		if !slices.ContainsFunc(group, isDue) {
			continue
		}
		for i, v := range j.rules.Judge(group) {
			if a := group[i]; isDue(a) || !a.GetPending() && v.Machine != a.GetMachine() {
				j.pronounce(a, v)
			}
		}
	}
}

// again judges hits by other rules.
func (j *judging) again(hits []*leadv1.Activity) {
	for _, rev := range j.rules.Again(hits) {
		j.pronounce(rev.Hit, rev.Verdict)
	}
}

// pronounce records a verdict.
func (j *judging) pronounce(a *leadv1.Activity, v signal.Verdict) {
	again := !a.GetPending()
	a.Pending, a.Machine, a.Verdict = false, v.Machine, string(v.Reason)
	for _, kept := range j.st.GetHits() {
		if kept.GetId() == a.GetId() {
			kept.Pending, kept.Machine, kept.Verdict = false, v.Machine, string(v.Reason)
		}
	}
	j.seen(a)
	j.events = append(j.events, &ingestv1.Event{OccurredAt: timestamppb.New(j.now), Source: a.GetSource(), OriginLeadId: a.GetLeadId(), Fact: &ingestv1.Event_Judged{
		Judged: &ingestv1.Judged{Activity: proto.CloneOf(a), Again: again, Rules: j.rules.Version},
	}})
}

// seen notes that a person did something; of several leads that are one person
// the one that it was told of did.
func (j *judging) seen(a *leadv1.Activity) {
	leads := []*leadv1.Lead{j.st.GetLead()}
	if parts := j.st.GetParts(); len(parts) > 0 {
		did := parts[0]
		for _, p := range parts {
			if p.GetLead().GetLeadId() == a.GetLeadId() {
				did = p
			}
		}
		leads = append(leads, did.GetLead())
	}
	for _, l := range leads {
		if !a.GetMachine() && l.GetLastSeenAt().AsTime().Before(a.GetOccurredAt().AsTime()) {
			l.LastSeenAt = a.GetOccurredAt()
		}
	}
}

// forget drops the hits that nothing can overrule any more.
func (j *judging) forget() {
	j.st.Hits = slices.DeleteFunc(j.st.GetHits(), func(a *leadv1.Activity) bool {
		return !a.GetPending() && !j.now.Before(dueAt(a, j.rules).Add(j.rules.Remember))
	})
}

// hold keeps an open or a click until its verdict.
func (f *fold) hold(a *leadv1.Activity) {
	a.LeadId = ""
	if f.rules == nil || !signal.IsHit(a) {
		a.Pending = false
		return
	}
	a.Pending, a.Verdict = true, ""
	if origin := f.cmd.GetOrigin(); origin != f.in.Lead {
		a.LeadId = origin
	}
	f.st.HitsTotal++
	j := &judging{st: f.st, rules: f.rules, now: f.now}
	j.forget()
	f.st.Hits = append(f.st.Hits, proto.CloneOf(a))
}

// Hits are the opens and clicks that a lead may still judge otherwise, each with
// the lead it was told of.
func Hits(st *ingestv1.State, lead string) []*leadv1.Activity {
	hits := make([]*leadv1.Activity, len(st.GetHits()))
	for i, a := range st.GetHits() {
		hits[i] = proto.CloneOf(a)
		hits[i].LeadId = cmp.Or(a.GetLeadId(), lead)
	}
	return hits
}

// overflow judges the oldest hits at once when there are too many.
func (f *fold) overflow() {
	over := len(f.st.GetHits()) - maxHits
	if f.rules == nil || over <= 0 {
		return
	}
	oldest := f.st.GetHits()[:over]
	j := &judging{st: f.st, rules: f.rules, now: f.now}
	j.conclude(func(a *leadv1.Activity) bool { return slices.Contains(oldest, a) })
	f.events = append(f.events, j.events...)
	f.st.Hits = slices.Delete(f.st.Hits, 0, over)
}

// reflag brings the flags in step with the profile; nil when they are.
func reflag(st *ingestv1.State, rules *signal.Rules, now time.Time) *ingestv1.Event {
	l := st.GetLead()
	if l == nil {
		return nil
	}
	flags := rules.Flags(l.GetProfile())
	if proto.Equal(flags, l.GetFlags()) || flags == nil && l.GetFlags() == nil {
		return nil
	}
	l.Flags = flags
	return &ingestv1.Event{OccurredAt: timestamppb.New(now), Source: l.GetSource(), Fact: &ingestv1.Event_Identified{
		Identified: &ingestv1.Identified{Changed: []string{flagged}},
	}}
}

// dueAt is when a hit gets its verdict.
func dueAt(a *leadv1.Activity, rules *signal.Rules) time.Time {
	return a.GetReceivedAt().AsTime().Add(rules.Quarantine)
}

// wakeAt is when the next verdict is due.
func wakeAt(st *ingestv1.State, rules *signal.Rules) (at time.Time) {
	for _, a := range st.GetHits() {
		if due := dueAt(a, rules); a.GetPending() && (at.IsZero() || due.Before(at)) {
			at = due
		}
	}
	return at
}
