package desk_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
)

func TestReasonsThatTimeCuresRecycleAndOthersDisqualify(t *testing.T) {
	d := desk.New(policy())
	for n := range leadv1.RejectReason_name {
		r := leadv1.RejectReason(n)
		if r == leadv1.RejectReason_REJECT_REASON_UNSPECIFIED {
			continue
		}
		dec, err := d.Reject(at(t, d, handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED), &handoffv1.RejectCommand{Request: &handoffv1.RejectRequest{Reason: r}, SealedText: []byte("why")}, t0())
		if err != nil {
			t.Fatalf("%s: %v", r, err)
		}
		want := handoffv1.HandoffStatus_HANDOFF_STATUS_DISQUALIFIED
		switch strings.TrimPrefix(r.String(), "REJECT_REASON_") {
		case "NOT_READY", "NO_BUDGET", "NO_RESPONSE", "OTHER":
			want = handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED
		}
		if got := dec.State.GetHandoff().GetStatus(); got != want {
			t.Errorf("%s leads to %s, want %s", r, got, want)
		}
		if len(dec.Events) != 2 || dec.Events[0].GetRejected().GetReason() != r {
			t.Errorf("%s: events %v", r, dec.Events)
		}
		if !dec.WakeAt.IsZero() {
			t.Errorf("%s: a closed handoff wants to be woken at %s", r, dec.WakeAt)
		}
	}
}

func TestARejectNeedsAReasonThatFits(t *testing.T) {
	d := desk.New(policy())
	for _, req := range []*handoffv1.RejectCommand{
		{Request: &handoffv1.RejectRequest{}}, {Request: &handoffv1.RejectRequest{Reason: leadv1.RejectReason_REJECT_REASON_OTHER}},
	} {
		if _, err := d.Reject(at(t, d, handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED), req, t0()); !errors.Is(err, desk.ErrBadReason) {
			t.Errorf("%v: got %v", req, err)
		}
	}
	_, err := d.Recycle(at(t, d, handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED),
		&handoffv1.RecycleCommand{Request: &handoffv1.RecycleRequest{Reason: leadv1.RejectReason_REJECT_REASON_COMPETITOR}}, t0())
	if !errors.Is(err, desk.ErrBadReason) || !strings.Contains(err.Error(), "use reject") {
		t.Errorf("got %v", err)
	}
}

func TestAnOutcomeImpliesThatTheRepTookTheLead(t *testing.T) {
	d := desk.New(policy())
	dec, err := d.Outcomed(at(t, d, handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED),
		&handoffv1.OutcomeCommand{Request: &handoffv1.RecordOutcomeRequest{Outcome: handoffv1.Outcome_OUTCOME_WON, AmountMinor: 120_000, Currency: "EUR"}}, t0().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := []*handoffv1.Event{
		{OccurredAt: timestamppb.New(t0().Add(time.Hour)), Fact: &handoffv1.Event_Accepted{Accepted: &handoffv1.Accepted{Rep: "ada"}}},
		{OccurredAt: timestamppb.New(t0().Add(time.Hour)), Fact: &handoffv1.Event_OutcomeRecorded{OutcomeRecorded: &handoffv1.OutcomeRecorded{
			Outcome: handoffv1.Outcome_OUTCOME_WON, AmountMinor: 120_000, Currency: "EUR",
		}}},
	}
	if diff := cmp.Diff(want, dec.Events, protocmp.Transform()); diff != "" {
		t.Fatal(diff)
	}
}
