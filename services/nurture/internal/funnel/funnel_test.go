package funnel

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/leadview/leadtest"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

var (
	start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	later = start.Add(time.Hour)
)

// writer plays the four services: it gives every record its stream's next sequence.
type writer struct {
	seq     map[string]uint64
	records []Record
}

func newWriter() *writer { return &writer{seq: map[string]uint64{}} }

type change struct {
	state  proto.Message
	events []proto.Message
	wake   time.Time
	cause  uint64 // in LEADS
}

func (w *writer) write(stream, lead string, c change) {
	w.seq[stream]++
	rec := &ledgerv1.Record{State: encode(c.state)}
	for _, e := range c.events {
		rec.Events = append(rec.Events, encode(e))
	}
	if !c.wake.IsZero() {
		rec.WakeAt = timestamppb.New(c.wake)
	}
	if c.cause > 0 {
		rec.Causes = []*ledgerv1.Cause{{Stream: bus.Leads, Seq: c.cause}}
	}
	w.records = append(w.records, Record{Stream: stream, Seq: w.seq[stream], Lead: lead, Time: start, Data: encode(rec)})
}

func encode(m proto.Message) []byte {
	raw, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return raw
}

func (w *writer) capture(lead string) {
	w.write(bus.Leads, lead, change{state: &ingestv1.State{Lead: &leadv1.Lead{Facts: &leadv1.Facts{HasEmail: true}}}})
}

func (w *writer) visit(lead string) {
	w.write(bus.Leads, lead, change{state: &ingestv1.State{Lead: &leadv1.Lead{}}})
}

func (w *writer) merge(lead, from string) {
	w.write(bus.Leads, lead, change{
		state:  &ingestv1.State{Lead: &leadv1.Lead{Facts: &leadv1.Facts{HasEmail: true}}},
		events: []proto.Message{&ingestv1.Event{Fact: &ingestv1.Event_Merged{Merged: &ingestv1.Merged{FromLeadId: from}}}},
	})
}

func (w *writer) stage(lead string, s leadv1.Stage, qualifiedBy uint64) {
	c := change{state: &scoringv1.State{Score: &scoringv1.Score{Stage: s}}, cause: qualifiedBy}
	if qualifiedBy > 0 {
		c.events = []proto.Message{&scoringv1.Event{Fact: &scoringv1.Event_Qualified{Qualified: &scoringv1.Qualified{}}}}
	}
	w.write(bus.Scores, lead, c)
}

func (w *writer) enroll(lead string, status campaignv1.EnrollmentStatus, touches ...*campaignv1.Touch) {
	c := change{state: &campaignv1.State{Enrollments: []*campaignv1.Enrollment{{Status: status}}}}
	for _, t := range touches {
		c.events = append(c.events, &campaignv1.Event{Fact: &campaignv1.Event_TouchSettled{TouchSettled: &campaignv1.TouchSettled{Touch: t}}})
	}
	w.write(bus.Campaign, lead, c)
}

func (w *writer) sales(lead string, status handoffv1.HandoffStatus, events ...*handoffv1.Event) {
	c := change{state: &handoffv1.State{Handoff: &handoffv1.Handoff{Status: status, Rep: "rep-a"}}}
	for _, e := range events {
		c.events = append(c.events, e)
	}
	w.write(bus.Handoff, lead, c)
}

func apply(t interface{ Fatal(...any) }, records []Record) *Funnel {
	f := New()
	for _, r := range records {
		if err := f.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

const (
	active = campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE
	ended  = campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_COMPLETED
)

// story is one lead that looked around and then was ready at arrival and sold,
// one nurtured, one given back, one nobody looks after and one that scoring has
// not seen; and two visitors, one of whom turned out to be the nurtured lead.
func story() *writer {
	w := newWriter()
	w.visit("ready")
	w.capture("ready")
	w.stage("ready", leadv1.Stage_STAGE_QUALIFIED, 2)
	w.visit("visitor")
	w.capture("twin")
	w.stage("twin", leadv1.Stage_STAGE_NURTURING, 0)
	w.sales("ready", handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED, &handoffv1.Event{Fact: &handoffv1.Event_Assigned{Assigned: &handoffv1.Assigned{}}})
	w.sales("ready", handoffv1.HandoffStatus_HANDOFF_STATUS_WON)
	w.stage("ready", leadv1.Stage_STAGE_WON, 0)
	w.capture("cold")
	w.merge("cold", "twin")
	w.stage("cold", leadv1.Stage_STAGE_NURTURING, 0)
	w.enroll("cold", active, &campaignv1.Touch{Status: campaignv1.TouchStatus_TOUCH_STATUS_SENT},
		&campaignv1.Touch{Status: campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED, Reason: "suppressed"},
		&campaignv1.Touch{Status: campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED, Reason: "max_defer:quiet_hours"})
	w.capture("back")
	w.enroll("back", active)
	w.stage("back", leadv1.Stage_STAGE_QUALIFIED, 77)
	w.enroll("back", ended)
	w.sales("back", handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED,
		&handoffv1.Event{Fact: &handoffv1.Event_Assigned{Assigned: &handoffv1.Assigned{}}},
		&handoffv1.Event{Fact: &handoffv1.Event_Recycled{Recycled: &handoffv1.Recycled{}}})
	w.stage("back", leadv1.Stage_STAGE_NURTURING, 0)
	w.enroll("back", active)
	w.capture("orphan")
	w.stage("orphan", leadv1.Stage_STAGE_NURTURING, 0)
	w.enroll("orphan", ended)
	w.capture("unseen")
	w.enroll("unseen", active)
	return w
}

func want() Snapshot {
	return Snapshot{
		Captured: 5, Anonymous: 1, Stages: map[leadv1.Stage]int{leadv1.Stage_STAGE_WON: 1, leadv1.Stage_STAGE_NURTURING: 3},
		AtArrival: 1, HandedOff: 2, Recycled: 1, Orphans: 1, Unaccounted: 1,
		Tally: Tally{Sent: 1, Suppressed: 1, Skipped: 1},
	}
}

func TestEveryLeadIsCountedInItsStageOnce(t *testing.T) {
	f := apply(t, story().records)
	if diff := cmp.Diff(want(), f.Snapshot(later)); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"orphan"}, f.Orphaned(later, 9)); diff != "" {
		t.Errorf("orphans:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"unseen"}, f.Lost(9)); diff != "" {
		t.Errorf("without a stage:\n%s", diff)
	}
}

// The four streams are read side by side: whatever the interleaving and whatever
// comes again, the count is the same.
func TestTestLeadsAndOwnStaffAreCountedNowhere(t *testing.T) {
	w := story()
	for lead, flags := range map[string]*leadv1.Flags{"probe": {Test: true}, "sam": {OwnStaff: true}} {
		w.write(bus.Leads, lead, change{state: &ingestv1.State{
			Lead: leadtest.WithFacts(&leadv1.Lead{Profile: &leadv1.Profile{Email: lead + "@acme.example"}, Flags: flags}),
		}})
		w.stage(lead, leadv1.Stage_STAGE_QUALIFIED, w.seq[bus.Leads])
		w.enroll(lead, campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE, &campaignv1.Touch{Status: campaignv1.TouchStatus_TOUCH_STATUS_SENT})
		w.sales(lead, handoffv1.HandoffStatus_HANDOFF_STATUS_HELD)
	}
	expect := want()
	expect.Uncounted = 2
	if diff := cmp.Diff(expect, apply(t, w.records).Snapshot(later)); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
}

func TestNeitherInterleavingNorRepeatsChangeTheCount(t *testing.T) {
	records := story().records
	rapid.Check(t, func(t *rapid.T) {
		queues := map[string][]Record{}
		for _, r := range records {
			queues[r.Stream] = append(queues[r.Stream], r)
		}
		var mixed []Record
		for len(mixed) < 4*len(records) {
			stream := rapid.SampledFrom(streams[:]).Draw(t, "stream")
			if q := queues[stream]; len(q) > 0 {
				mixed, queues[stream] = append(mixed, q[0]), q[1:]
			}
			if len(mixed) > 0 && rapid.Bool().Draw(t, "repeat") {
				mixed = append(mixed, mixed[rapid.IntRange(0, len(mixed)-1).Draw(t, "which")])
			}
			if len(queues[bus.Leads])+len(queues[bus.Scores])+len(queues[bus.Campaign])+len(queues[bus.Handoff]) == 0 {
				break
			}
		}
		for _, stream := range streams {
			mixed = append(mixed, queues[stream]...)
		}
		if diff := cmp.Diff(want(), apply(t, mixed).Snapshot(later)); diff != "" {
			t.Fatalf("snapshot (-want +got):\n%s", diff)
		}
	})
}

func TestALeadIsNoOrphanWhileSomethingWillLookAtIt(t *testing.T) {
	cases := []struct {
		name   string
		write  func(w *writer)
		now    time.Time
		orphan bool
	}{
		{"nothing ahead", func(*writer) {}, later, true},
		{"just changed hands", func(*writer) {}, start.Add(time.Second), false},
		{"wake-up ahead", func(w *writer) {
			w.write(bus.Scores, "x", change{state: nurturing(), wake: later.Add(time.Hour)})
		}, later, false},
		{"wake-up a little late", func(w *writer) {
			w.write(bus.Scores, "x", change{state: nurturing(), wake: later.Add(-time.Second)})
		}, later, false},
		{"wake-up that never came", func(w *writer) {
			w.write(bus.Scores, "x", change{state: nurturing(), wake: start.Add(time.Minute)})
		}, later, true},
		{"enrolled", func(w *writer) { w.enroll("x", active) }, later, false},
		{"with sales", func(w *writer) { w.sales("x", handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED) }, later, false},
		{"closed", func(w *writer) { w.stage("x", leadv1.Stage_STAGE_LOST, 0) }, later, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWriter()
			w.capture("x")
			w.stage("x", leadv1.Stage_STAGE_NURTURING, 0)
			c.write(w)
			if got := apply(t, w.records).Snapshot(c.now).Orphans == 1; got != c.orphan {
				t.Errorf("orphan is %v, want %v", got, c.orphan)
			}
		})
	}
}

func nurturing() *scoringv1.State {
	return &scoringv1.State{Score: &scoringv1.Score{Stage: leadv1.Stage_STAGE_NURTURING}}
}

func TestARecordThatCannotBeReadIsAnError(t *testing.T) {
	if err := New().Apply(Record{Stream: bus.Scores, Seq: 1, Lead: "x", Data: []byte{0xff}}); err == nil {
		t.Error("an undecodable record was counted")
	}
	if err := New().Apply(Record{Stream: "OTHER", Seq: 1, Lead: "x"}); err == nil {
		t.Error("a stream of nobody was counted")
	}
}

func TestTheNextWakeUpIsTheEarliestAhead(t *testing.T) {
	w := newWriter()
	for i, at := range []time.Duration{-time.Hour, 3 * time.Hour, 2 * time.Hour} {
		lead := fmt.Sprint("l", i)
		w.capture(lead)
		w.write(bus.Scores, lead, change{state: nurturing(), wake: later.Add(at)})
	}
	if got := apply(t, w.records).Snapshot(later).NextWake; !got.Equal(later.Add(2 * time.Hour)) {
		t.Errorf("next wake-up at %s", got)
	}
}
