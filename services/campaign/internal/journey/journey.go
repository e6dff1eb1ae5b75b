// Package journey is the decision of the campaign service: what one input
// changes about one lead's way through its programs. It is pure: the book, the
// state, the input and its time decide, nothing else.
package journey

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/stage"
	"github.com/nurturehq/nurture/pkg/ties"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

// Reasons of decisions, shown to people. Reasons of single enrollments and
// touches are in the events; these name what an input was about.
const (
	// Unmoved: the input changes nothing.
	Unmoved = "unmoved"
	// Told: facts about the lead changed.
	Told = "told"
	// Moved: an enrollment began, went on or ended.
	Moved = "moved"
	// Reviewed: a wake-up came; nobody had to move.
	Reviewed = "reviewed"
	// UnknownTouch: an outcome of a touch that was forgotten long ago.
	UnknownTouch = "unknown_touch"
	// AlreadySettled: a second outcome of the same attempt.
	AlreadySettled = "already_settled"
)

// Reasons of enrollments and steps.
const (
	whyCondition = "condition"
	whyRecycled  = "recycled"
	whyByHand    = "by_hand"
	whyMerged    = "merged"
	whyRestored  = "restored"

	endFinished   = "finished"
	endGoal       = "goal"
	endExitWhen   = "exit_condition"
	endWithSales  = "with_sales"
	endSuppressed = "suppressed"
	endVersion    = "version_lost"
	endMerged     = "merged"
	endSeparated  = "unmerged"

	stepWaited  = "waited"
	stepTimeout = "timeout"
	stepYes     = "branch:yes"
	stepNo      = "branch:no"
)

// Bounds that keep a state small and an input cheap.
const (
	keepEnrollments = 32
	keepTouches     = 64
	keepSends       = 64
	// sendMemory exceeds the longest window of a frequency cap.
	sendMemory = 92 * 24 * time.Hour
	// maxMoves bounds the steps one enrollment takes for one input: more than
	// any path without a wait can have.
	maxMoves = 256
)

// Watchdog is after how long a planned touch without an outcome is given to
// the sender again. That is safe: the claim decides who may send.
const Watchdog = 15 * time.Minute

// seenGrain is how far last_seen_at must move to be worth a record of its own.
const seenGrain = time.Minute

// Change is what a turn decided.
type Change struct {
	State  *campaignv1.State
	Events []*campaignv1.Event
	// WakeAt is when the lead wants to be looked at again; zero for never.
	WakeAt time.Time
	Reason string
	// Urgent: a person waits for a touch that is planned here.
	Urgent bool
	// Same: nothing changed, no record is needed.
	Same bool
	// Tombstone: the lead is forgotten.
	Tombstone bool
}

// Turn is the decision about one input. Begin it, tell it what happened, End it.
type Turn struct {
	book     *program.Book
	s        *campaignv1.State
	now      time.Time
	activity *leadv1.Activity
	recycled bool
	asked    bool
	// hurried: what stands before the mail that was asked for goes ahead.
	hurried bool
	urgent  bool
	entered map[string]bool
	// arrived are the enrollments that reached their step by this very activity:
	// it cannot be what they await there.
	arrived map[string]bool
	events  []*campaignv1.Event
	changed bool
	reason  string
}

// Begin starts a turn. It works on the state it is given.
func Begin(book *program.Book, state *campaignv1.State, lead string, now time.Time) *Turn {
	if state == nil {
		state = &campaignv1.State{}
	}
	if state.View == nil {
		state.View = &leadv1.View{}
	}
	if state.View.Lead == nil {
		state.View.Lead = &leadv1.Facts{}
	}
	if state.View.Score == nil {
		state.View.Score = &leadv1.ScoreFacts{}
	}
	state.LeadId, state.View.LeadId = lead, lead
	return &Turn{book: book, s: state, now: now, entered: map[string]bool{}, arrived: map[string]bool{}}
}

// LeadTold takes what ingest says now, and what the lead did.
func (t *Turn) LeadTold(facts *leadv1.Facts, activities []*leadv1.Activity) {
	t.tellFacts(facts)
	for _, a := range activities {
		if a.GetMachine() {
			continue
		}
		t.activity = a
		clear(t.arrived)
		t.mark(a)
		t.run()
	}
	t.activity = nil
	t.run()
}

func (t *Turn) tellFacts(facts *leadv1.Facts) {
	if facts == nil {
		return
	}
	old := t.s.View.Lead
	if old.GetLastSeenAt() != nil && facts.GetLastSeenAt().AsTime().Sub(old.GetLastSeenAt().AsTime()) < seenGrain {
		facts = proto.CloneOf(facts)
		facts.LastSeenAt = old.LastSeenAt
	}
	if !proto.Equal(old, facts) {
		t.s.View.Lead = facts
		t.change(Told)
	}
}

// ScoreTold takes what scoring says now.
func (t *Turn) ScoreTold(score *leadv1.ScoreFacts, s leadv1.Stage, since time.Time) {
	if score != nil && tells(t.s.View.Score, score) {
		t.s.View.Score = score
		t.change(Told)
	}
	if !since.Before(t.s.GetStageAt().AsTime()) || t.s.StageAt == nil {
		t.setStage(s, since)
	}
	t.run()
}

// fadeGrain is the share of its points by which a score must have faded to be
// worth a record when nothing else about it changed. A view fades unnoticed
// between two records anyway.
const fadeGrain = 0.01

// tells reports whether a score says anything new.
func tells(old, score *leadv1.ScoreFacts) bool {
	if faded := old.GetBehaviour() - score.GetBehaviour(); faded < 0 || faded > fadeGrain*old.GetBehaviour() {
		return true
	}
	same := proto.CloneOf(score)
	same.Behaviour = old.GetBehaviour()
	return !proto.Equal(old, same)
}

// ConsentAsked notes that a yes of the lead waits for a confirmation by mail. Tell
// it before LeadTold.
func (t *Turn) ConsentAsked() { t.asked = true }

// Introduce tells a lead that campaign has not met, as the services know it
// now. What was told before stands: it came in order.
func (t *Turn) Introduce(view *leadv1.View) {
	if t.s.StageAt != nil || t.s.View.Lead.GetCreatedAt() != nil {
		return
	}
	t.tellFacts(view.GetLead())
	if view.GetScore() != nil {
		t.s.View.Score = view.GetScore()
	}
	t.setStage(view.GetStage(), time.Unix(0, 0))
}

// SalesTold takes what handoff says now: the stage that follows from it (or
// UNSPECIFIED for none), and whether sales gave the lead back just now. A stage
// that is known already is no news.
func (t *Turn) SalesTold(s leadv1.Stage, recycled bool) {
	known := t.s.StageAt != nil && (t.s.Stage == s || !t.now.After(t.s.GetStageAt().AsTime()))
	if s != leadv1.Stage_STAGE_UNSPECIFIED && !known {
		t.setStage(s, t.now)
	}
	t.recycled = recycled
	t.run()
}

func (t *Turn) setStage(s leadv1.Stage, since time.Time) {
	if t.s.Stage == s && t.s.StageAt != nil && t.s.StageAt.AsTime().Equal(since) {
		return
	}
	t.s.Stage, t.s.View.Stage = s, s
	t.s.StageAt = timestamppb.New(since)
	t.change(Told)
}

// Due takes a wake-up. It always makes a record: the next wake-up needs one.
func (t *Turn) Due() {
	t.change(Reviewed)
	t.replan()
	t.run()
}

// End closes the turn.
func (t *Turn) End() Change {
	t.trim()
	if !t.changed {
		return Change{State: t.s, Same: true, Reason: t.named(Unmoved)}
	}
	t.s.View.Programs = t.programs()
	return Change{State: t.s, Events: t.events, WakeAt: t.wakeAt(), Reason: t.named(Told), Urgent: t.urgent}
}

func (t *Turn) named(otherwise string) string {
	if t.reason == "" {
		return otherwise
	}
	return t.reason
}

// change notes that a record is needed, and the strongest reason for it.
func (t *Turn) change(reason string) {
	t.changed = true
	if t.reason == "" || reason == Moved {
		t.reason = reason
	}
}

func (t *Turn) emit(e *campaignv1.Event) {
	e.OccurredAt = timestamppb.New(t.now)
	t.events = append(t.events, e)
	t.change(Moved)
}

// ours reports whether marketing may work on the lead; if not, why not.
func (t *Turn) ours() (string, bool) {
	switch {
	case t.s.GetTies().GetIntoLeadId() != "", t.s.Stage == leadv1.Stage_STAGE_MERGED:
		return endMerged, false
	case t.s.View.Lead.GetSuppressed():
		return endSuppressed, false
	case stage.IsWithSales(t.s.Stage):
		return endWithSales, false
	case stage.IsClosed(t.s.Stage):
		return "stage_" + lower(stage.Name(t.s.Stage)), false
	default:
		return "", true
	}
}

// wakeAt is the earliest moment anything waits for. A lead that is ours is
// looked at again after the review time whatever happens: nobody is forgotten.
func (t *Turn) wakeAt() time.Time {
	next := ties.Next(t.s.GetTies(), t.now)
	if _, ours := t.ours(); !ours && len(t.active()) == 0 {
		return next
	}
	wake := t.now.Add(t.book.Review)
	if !next.IsZero() && next.Before(wake) {
		wake = next
	}
	for _, e := range t.s.Enrollments {
		if active(e) && e.DueAt != nil && e.DueAt.AsTime().Before(wake) {
			wake = e.DueAt.AsTime()
		}
	}
	return wake
}
