package witness_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/witness"
)

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func publish(t *testing.T, b *bus.Bus, subject string, m proto.Message) {
	t.Helper()
	if _, err := b.Publish(t.Context(), &nats.Msg{Subject: subject, Data: encode(t, m)}); err != nil {
		t.Fatal(err)
	}
}

// record publishes a record of lead1 with a state and events.
func record(t *testing.T, b *bus.Bus, stream string, state proto.Message, events ...proto.Message) {
	t.Helper()
	rec := &ledgerv1.Record{Version: 1, Causes: []*ledgerv1.Cause{{Kind: "accept", Id: "accept:r1"}, {Stream: bus.Scores, Seq: 1, Kind: "state"}}}
	rec.State = encode(t, state)
	for _, e := range events {
		rec.Events = append(rec.Events, encode(t, e))
	}
	publish(t, b, bus.Subject(stream, "lead1", bus.KindState), rec)
}

// hit is an open or a click of the mail of touch t1.
func hit(kind, url string) *leadv1.Activity {
	a := &leadv1.Activity{Id: "campaign-1", Type: kind, Properties: map[string]string{"touch_id": "t1"}}
	if url != "" {
		a.Properties["url"] = url
	}
	return a
}

func judged(a *leadv1.Activity) *leadv1.Activity {
	a.Machine, a.Verdict = true, "trap_link"
	return a
}

func TestTheWitnessTellsWhatTheStreamsSay(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	did := &leadv1.Activity{Id: "website/e1", Type: torture.FormSubmitted, Properties: map[string]string{"topic": "hi"}}
	record(t, b, bus.Leads, &ingestv1.State{Lead: &leadv1.Lead{Activities: 1}},
		&ingestv1.Event{Fact: &ingestv1.Event_Activity{Activity: did}},
		&ingestv1.Event{Fact: &ingestv1.Event_Suppressed{Suppressed: &ingestv1.Suppressed{}}},
		&ingestv1.Event{Fact: &ingestv1.Event_Merged{Merged: &ingestv1.Merged{FromLeadId: "lead0"}}},
		&ingestv1.Event{OriginLeadId: "lead0", Fact: &ingestv1.Event_Activity{Activity: hit(torture.Clicked, "https://x.example/guide")}},
		&ingestv1.Event{Fact: &ingestv1.Event_Activity{Activity: hit(torture.Opened, "")}},
		&ingestv1.Event{Fact: &ingestv1.Event_Judged{Judged: &ingestv1.Judged{Activity: judged(hit(torture.Clicked, "")), Again: true}}},
		&ingestv1.Event{Fact: &ingestv1.Event_Unmerged{Unmerged: &ingestv1.Unmerged{LeadId: "lead0"}}},
		&ingestv1.Event{Fact: &ingestv1.Event_MergedInto{MergedInto: &ingestv1.MergedInto{IntoLeadId: "lead2"}}},
		&ingestv1.Event{Fact: &ingestv1.Event_Restored{Restored: &ingestv1.Restored{FromLeadId: "lead2"}}})
	record(t, b, bus.Scores, &scoringv1.State{Ties: &leadv1.Ties{Awaited: []*leadv1.Tie{{LeadId: "lead0"}}}, Score: &scoringv1.Score{Behaviour: 110, Stage: leadv1.Stage_STAGE_QUALIFIED}},
		&scoringv1.Event{Fact: &scoringv1.Event_Qualified{Qualified: &scoringv1.Qualified{Why: "fast_track:demo"}}})
	publish(t, b, bus.Subject(bus.Campaign, "lead1", bus.KindClaim, "t1"), &campaignv1.Claim{TouchId: "t1"})
	told := encode(t, &campaignv1.Outcome{TouchId: "t1", Status: campaignv1.TouchStatus_TOUCH_STATUS_SENT, Reason: "accepted"})
	publish(t, b, bus.Subject(bus.Campaign, "lead1", bus.KindState), &ledgerv1.Record{Causes: []*ledgerv1.Cause{{Kind: bus.KindOutcome, Command: told}}})
	record(t, b, bus.Campaign, &campaignv1.State{
		Touches:     []*campaignv1.Touch{{Id: "t1", Program: "welcome", Step: "hello", Status: campaignv1.TouchStatus_TOUCH_STATUS_SENT, Reason: "accepted"}},
		Enrollments: []*campaignv1.Enrollment{{Id: "e1", Program: "welcome", Step: "pause", Status: campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE}},
	})
	record(t, b, bus.Handoff, &handoffv1.State{Handoff: &handoffv1.Handoff{
		LeadId: "lead1", Status: handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED,
		Deliveries: []*handoffv1.Delivery{{Id: "ho1", Status: handoffv1.DeliveryStatus_DELIVERY_STATUS_DELIVERED}},
	}})

	facts, err := witness.New(b.JS).Tell(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []torture.Fact{
		{Stream: bus.Leads, Kind: torture.Activity, ID: "e1", Type: torture.FormSubmitted, Hash: torture.HashOf(torture.FormSubmitted, "hi")},
		{Stream: bus.Leads, Kind: torture.Suppressed},
		{Stream: bus.Leads, Kind: torture.Merged, Ref: "lead0"},
		{Stream: bus.Leads, Kind: torture.Activity, Host: "lead1", ID: "t1/guide", Type: torture.Clicked, Hash: torture.HitHash(torture.Clicked, "guide")},
		{Stream: bus.Leads, Kind: torture.Activity, ID: "t1/picture", Type: torture.Opened, Hash: torture.HitHash(torture.Opened, torture.Picture)},
		{Stream: bus.Leads, Kind: torture.Judged, ID: "t1/trap", Type: torture.Clicked, Status: torture.StatusMachine, Reason: "trap_link", Ref: torture.Again},
		{Stream: bus.Leads, Kind: torture.Unmerged, Ref: "lead0"},
		{Stream: bus.Leads, Kind: torture.Frozen, Ref: "lead2"},
		{Stream: bus.Leads, Kind: torture.Restored, Ref: "lead2"},
		{Stream: bus.Leads, Kind: torture.Known, Points: 1},
		{Stream: bus.Scores, Kind: torture.Qualified, Reason: "fast_track:demo"},
		{Stream: bus.Scores, Kind: torture.Awaits, Ref: "lead0"},
		{Stream: bus.Scores, Kind: torture.Score, Points: 110, Status: torture.StageQualified},
		{Stream: bus.Campaign, Kind: torture.Claim, ID: "t1"},
		{Stream: bus.Campaign, Kind: torture.Outcome, ID: "t1", Status: torture.StatusSent, Reason: "accepted"},
		{Stream: bus.Campaign, Kind: torture.Touch, ID: "t1", Ref: "welcome", Type: "hello", Status: torture.StatusSent, Reason: "accepted"},
		{Stream: bus.Campaign, Kind: torture.Enrollment, ID: "e1", Ref: "welcome", Type: "pause", Status: torture.StatusActive},
		{Stream: bus.Handoff, Kind: torture.Command, ID: "r1", Type: "accept"},
		{Stream: bus.Handoff, Kind: torture.Handoff, Status: "accepted"},
		{Stream: bus.Handoff, Kind: torture.Delivery, ID: "ho1", Status: torture.StatusDelivered},
	}
	got := facts[:0]
	for _, f := range facts {
		if f.Lead != "lead1" && (f.Lead != "lead0" || f.Host != "lead1") || f.Seq == 0 || f.At.IsZero() {
			t.Errorf("fact %+v does not say where it is from", f)
		}
		if f.Kind != torture.Digest {
			got = append(got, f)
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(torture.Fact{}, "Lead", "Seq", "At")); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func TestAParkedMessageIsToldByWhatItIsAbout(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	for i, p := range []*ledgerv1.Parked{
		{Service: "ingest", Stream: bus.Inbound, Subject: "inbound.website", Data: []byte(`{"messageId":"e1"}`)},
		{Service: "campaign", Stream: bus.Campaign, Subject: "campaign.claim.01.lead1.t1", LeadId: "lead1"},
		{Service: "handoff", Stream: bus.Handoff, Subject: "handoffs.redeliver.01.lead1.ho1", LeadId: "lead1"},
		{Service: "scoring", Stream: bus.Leads, Subject: "leads.state.01.lead1", LeadId: "lead1"},
	} {
		p.Seq, p.ParkedAt = uint64(i+1), timestamppb.New(time.Now()) //nolint:gosec // small
		if err := b.Park(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	facts, err := witness.New(b.JS).Tell(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range facts {
		got = append(got, f.Ref+" "+f.ID)
	}
	want := []string{"ingest e1", "campaign t1", "handoff ho1", "scoring leads.state.01.lead1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsUnreadIsNamed(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	w := witness.New(b.JS)
	_, empty, err := w.Waiting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, bus.Subject(bus.Leads, "lead1", bus.KindState), &ledgerv1.Record{Version: 1})
	_, after, err := w.Waiting(t.Context())
	if err != nil || after == empty {
		t.Errorf("the mark is %q before and %q after, %v", empty, after, err)
	}
}
