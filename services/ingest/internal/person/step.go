package person

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
)

// Reasons of the steps of a merge and of an unmerge.
const (
	// ReasonJoining: the survivor has promised to take the other lead in.
	ReasonJoining = "merge_begun"
	// ReasonMergedInto: the lead is frozen; its id answers to the survivor.
	ReasonMergedInto = "merged_into"
	// ReasonMerged: another lead turned out to be the same person.
	ReasonMerged = "merged"
	// ReasonAborted: the survivor took its promise back.
	ReasonAborted = "merge_aborted"
	// ReasonThawed: the merge never came to be; the lead goes on.
	ReasonThawed = "merge_undone"
	// ReasonReleased: a lead that was merged in is to be one of its own again.
	ReasonReleased = "unmerged"
	// ReasonRestored: the lead is one of its own again.
	ReasonRestored = "restored"
	// ReasonForgotten: what was given back is not kept any more.
	ReasonForgotten = "unmerge_finished"
	// ReasonDone: the step was taken before.
	ReasonDone = "step_taken_before"
)

// Bounds of merges.
const (
	// maxParts bounds the leads in one, itself included.
	maxParts = 100
	// maxBytes bounds what they tell together: a record holds it up to three times,
	// and the server's limit is 1 MB.
	maxBytes = 256 << 10
	// maxApart bounds the leads remembered as separated.
	maxApart = 100
)

// step takes one step of a merge or an unmerge. Each one may be repeated: a
// second time it changes nothing.
func (f *fold) step() (Change, error) {
	switch s := f.cmd.GetStep().GetStep().(type) {
	case *ingestv1.Step_Join:
		return f.join(s.Join)
	case *ingestv1.Step_Freeze:
		return f.freeze(s.Freeze)
	case *ingestv1.Step_Adopt:
		return f.adopt(s.Adopt)
	case *ingestv1.Step_Abort:
		return f.abort(s.Abort)
	case *ingestv1.Step_Thaw:
		return f.thaw(s.Thaw)
	case *ingestv1.Step_Release:
		return f.release(s.Release)
	case *ingestv1.Step_Restore:
		return f.restore(s.Restore)
	case *ingestv1.Step_Forget:
		return f.forget(s.Forget)
	}
	return Change{}, fmt.Errorf("%w: a step that does not say which", ErrUndecodable)
}

// done is the answer to a step that changes nothing.
func done() (Change, error) { return ledger.Unchanged[*ingestv1.State](ReasonDone), nil }

// took is the answer to a step that was taken.
func (f *fold) took(reason string, facts ...*ingestv1.Event) (Change, error) {
	for _, e := range facts {
		f.add(reason, e)
	}
	if f.st.Lead != nil {
		f.permit()
		f.st.Lead.UpdatedAt = timestamppb.New(f.now)
	}
	return Change{State: f.st, Events: f.events, Reason: reason}, nil
}

// join promises to take a lead in. From now on this lead cannot be merged into
// another one: that keeps merges from going round in a circle.
func (f *fold) join(m *ingestv1.Merge) (Change, error) {
	switch {
	case f.st.GetMergedInto() != nil:
		return Change{}, &MovedError{Lead: f.in.Lead, Into: f.st.GetMergedInto().GetIntoLeadId()}
	case f.st.GetLead() == nil:
		return Change{}, fmt.Errorf("lead %s: %w", f.in.Lead, ErrUnknownLead)
	case m.GetFromLeadId() == f.in.Lead || f.has(m.GetFromLeadId()):
		return done()
	case promised(f.st, m.GetFromLeadId()) != nil:
		return done()
	case m.GetConfidence() < 1 && slices.Contains(f.st.GetApart(), m.GetFromLeadId()):
		return Change{}, ErrApart
	case len(Parts(f.st))+len(f.st.GetJoining()) >= maxParts, f.size() > maxBytes:
		return Change{}, ErrFull
	}
	m.At = timestamppb.New(f.now)
	f.st.Joining = append(f.st.Joining, m)
	return f.took(ReasonJoining)
}

func (f *fold) size() int {
	n := 0
	for _, p := range Parts(f.st) {
		n += proto.Size(p)
	}
	return n
}

func (f *fold) has(lead string) bool { return Has(f.st, lead) }

// Has reports whether a lead was taken in by the one with this state.
func Has(st *ingestv1.State, lead string) bool {
	return slices.ContainsFunc(st.GetParts(), func(p *ingestv1.Part) bool { return p.GetLead().GetLeadId() == lead })
}

// promised finds the promise to take a lead in; nil when there is none.
func promised(st *ingestv1.State, from string) *ingestv1.Merge {
	for _, m := range st.GetJoining() {
		if m.GetFromLeadId() == from {
			return m
		}
	}
	return nil
}

// freeze ends the lead. What it has stays, for the survivor to take in.
func (f *fold) freeze(m *ingestv1.Merge) (Change, error) {
	switch at := f.st.GetMergedInto(); {
	case at.GetId() == m.GetId() && at != nil:
		return done()
	case at != nil:
		return Change{}, &MovedError{Lead: f.in.Lead, Into: at.GetIntoLeadId()}
	case m.GetIntoLeadId() == f.in.Lead || f.has(m.GetIntoLeadId()):
		return Change{}, ErrItself
	case len(f.st.GetJoining())+len(f.st.GetLeaving()) > 0:
		return Change{}, ErrUnderWay
	case m.GetConfidence() < 1 && slices.Contains(f.st.GetApart(), m.GetIntoLeadId()):
		return Change{}, ErrApart
	case f.size() > maxBytes/2:
		return Change{}, ErrFull
	}
	f.begin()
	f.judgeAll()
	f.st.MergedInto = m
	return f.took(ReasonMergedInto, &ingestv1.Event{Fact: &ingestv1.Event_MergedInto{
		MergedInto: &ingestv1.MergedInto{IntoLeadId: m.GetIntoLeadId()},
	}})
}

// judgeAll judges what waits for its verdict: nothing is told of this lead any more.
func (f *fold) judgeAll() {
	if f.rules == nil {
		return
	}
	j := &judging{st: f.st, rules: f.rules, now: f.now}
	j.conclude(func(*leadv1.Activity) bool { return true })
	f.events = append(f.events, j.events...)
}

// begin gives a lead whose identity was claimed, and whose first record is still
// on its way, a place that record can be carried on from.
func (f *fold) begin() {
	if f.st.Lead == nil {
		f.st.Lead = &leadv1.Lead{LeadId: f.in.Lead, Profile: &leadv1.Profile{}}
	}
}

// adopt takes in what the frozen lead has.
func (f *fold) adopt(a *ingestv1.Adopt) (Change, error) {
	m := a.GetMerge()
	if f.has(m.GetFromLeadId()) {
		return done()
	}
	if p := promised(f.st, m.GetFromLeadId()); p == nil || p.GetId() != m.GetId() {
		return Change{}, ErrNoMerge
	}
	before, account := f.st.GetLead().GetSuppression(), f.st.GetLead().GetAccountId()
	combine(f.st, append(slices.Clone(Parts(f.st)), a.GetParts()...))
	for _, lead := range a.GetApart() {
		remember(&f.st.Apart, lead)
	}
	f.settle(m.GetId())
	f.st.Hits = append(f.st.Hits, a.GetHits()...)
	f.overflow()
	facts := []*ingestv1.Event{{Fact: &ingestv1.Event_Merged{Merged: &ingestv1.Merged{
		FromLeadId: m.GetFromLeadId(), By: m.GetBy(), Confidence: m.GetConfidence(),
	}}}}
	if now := f.st.GetLead().GetSuppression(); consent.Weight(now) > consent.Weight(before) {
		facts = append(facts, &ingestv1.Event{Fact: &ingestv1.Event_Suppressed{Suppressed: &ingestv1.Suppressed{Reason: now}}})
	}
	return f.took(ReasonMerged, append(facts, f.joined(account, byMerge)...)...)
}

func (f *fold) settle(id string) (found bool) {
	n := len(f.st.Joining)
	f.st.Joining = slices.DeleteFunc(f.st.Joining, func(m *ingestv1.Merge) bool { return m.GetId() == id })
	return len(f.st.Joining) < n
}

func (f *fold) abort(id string) (Change, error) {
	if !f.settle(id) {
		return done()
	}
	return f.took(ReasonAborted)
}

// thaw undoes a freeze whose promise was taken back.
func (f *fold) thaw(id string) (Change, error) {
	if f.st.GetMergedInto().GetId() != id || f.st.GetMergedInto() == nil {
		return done()
	}
	f.st.MergedInto = nil
	return f.took(ReasonThawed, restored(""))
}

func restored(from string, hosts ...*ingestv1.Host) *ingestv1.Event {
	return &ingestv1.Event{Fact: &ingestv1.Event_Restored{Restored: &ingestv1.Restored{FromLeadId: from, Hosts: hosts}}}
}
