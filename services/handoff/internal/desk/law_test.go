package desk_test

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
)

// input is one random thing that happens to a lead.
type input struct {
	what    string
	after   time.Duration
	view    *handoffv1.RoutingView
	reason  leadv1.RejectReason
	outcome handoffv1.Outcome
	attempt uint32
	number  int
	good    bool
}

func inputs() *rapid.Generator[[]input] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) input {
		return input{
			what: rapid.SampledFrom([]string{
				"qualify", "qualify", "due", "due", "due", "settle", "settle", "offer", "leave", "accept", "reject", "recycle", "outcome", "redeliver",
			}).Draw(t, "what"),
			after: time.Duration(rapid.IntRange(0, 6*3600).Draw(t, "after")) * time.Second,
			view: rapid.SampledFrom([]*handoffv1.RoutingView{
				nil, to("ada"), to("bo"), routed(reachable(), "", desk.NoCapacity), routed(&leadv1.Facts{}, "", ""),
			}).Draw(t, "view"),
			reason:  leadv1.RejectReason(rapid.IntRange(0, 9).Draw(t, "reason")),
			outcome: handoffv1.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")),
			attempt: uint32(rapid.IntRange(1, 3).Draw(t, "attempt")), //nolint:gosec // small
			number:  rapid.IntRange(0, 3).Draw(t, "number"),
			good:    rapid.Bool().Draw(t, "good"),
		}
	}), 1, 40)
}

func step(d desk.Desk, s *handoffv1.State, in input, now time.Time) (desk.Decision, error) {
	switch in.what {
	case "qualify":
		return d.Qualify(s, qualified(), in.view, now), nil
	case "due":
		return d.Due(s, "lead-1", in.view, now), nil
	case "offer":
		return d.Offer(s, in.view, now), nil
	case "leave":
		return d.Leave(s, &scoringv1.StageChanged{To: leadv1.Stage_STAGE_INACTIVE}, now), nil
	case "accept":
		return d.Accept(s, &handoffv1.AcceptRequest{}, now)
	case "reject":
		return d.Reject(s, &handoffv1.RejectCommand{Request: &handoffv1.RejectRequest{Reason: in.reason}, SealedText: []byte("x")}, now)
	case "recycle":
		return d.Recycle(s, &handoffv1.RecycleCommand{Request: &handoffv1.RecycleRequest{Reason: in.reason}}, now)
	case "outcome":
		return d.Outcomed(s, &handoffv1.OutcomeCommand{Request: &handoffv1.RecordOutcomeRequest{Outcome: in.outcome}}, now)
	case "redeliver":
		return d.Redeliver(s, "", now)
	}
	o := &handoffv1.DeliveryOutcome{Attempt: in.attempt, Delivered: in.good, Permanent: in.number == 3}
	if ds := s.GetHandoff().GetDeliveries(); len(ds) > 0 {
		del := ds[in.number%len(ds)]
		o.DeliveryId, o.Attempt = del.GetId(), del.GetAttempts()
	}
	return d.Outcome(s, o, now), nil
}

func playAll(d desk.Desk, list []input, check func(before *handoffv1.State, dec desk.Decision, now time.Time)) []byte {
	s, now := &handoffv1.State{}, t0()
	for _, in := range list {
		now = now.Add(in.after)
		before := proto.CloneOf(s)
		dec, err := step(d, s, in, now)
		if err != nil || dec.Same {
			s = before
			continue
		}
		s = dec.State
		check(before, dec, now)
	}
	raw, _ := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	return raw
}

func TestWhateverHappensNothingOpenIsForgotten(t *testing.T) {
	d := desk.New(policy())
	rapid.Check(t, func(t *rapid.T) {
		seen := map[string]bool{}
		playAll(d, inputs().Draw(t, "inputs"), func(before *handoffv1.State, dec desk.Decision, now time.Time) {
			h := dec.State.GetHandoff()
			if h.GetStatus() == handoffv1.HandoffStatus_HANDOFF_STATUS_HELD && (dec.WakeAt.IsZero() || h.GetReason() == "") {
				t.Fatalf("a held lead has no wake-up or no reason: %v", h)
			}
			if h.GetStatus() == handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED && h.GetRep() == "" {
				t.Fatalf("assigned to nobody: %v", h)
			}
			if h.GetReassignments() > 2 {
				t.Fatalf("reassigned %d times", h.GetReassignments())
			}
			all := append(dec.State.GetHistory(), h)
			for _, stay := range all {
				for _, del := range stay.GetDeliveries() {
					if del.GetStatus() == handoffv1.DeliveryStatus_DELIVERY_STATUS_RETRYING &&
						(dec.WakeAt.IsZero() || dec.WakeAt.After(del.GetNextAt().AsTime())) {
						t.Fatalf("nobody retries %v; wakes at %s", del, dec.WakeAt)
					}
				}
			}
			for _, e := range dec.Events {
				if e.GetOccurredAt().AsTime() != now {
					t.Fatalf("event at %s, now is %s", e.GetOccurredAt().AsTime(), now)
				}
				if in := e.GetDeliveryIntended(); in != nil {
					key := in.GetDelivery().GetId() + "/" + string(rune('0'+in.GetAttempt()))
					if seen[key] {
						t.Fatalf("attempt %s is intended twice", key)
					}
					seen[key] = true
				}
			}
			if before.GetHandoff().GetRound() > h.GetRound() {
				t.Fatalf("rounds go back from %d to %d", before.GetHandoff().GetRound(), h.GetRound())
			}
		})
	})
}

func TestTheSameInputsGiveTheSameBytes(t *testing.T) {
	p := desk.DefaultPolicy() // with jitter
	rapid.Check(t, func(t *rapid.T) {
		list := inputs().Draw(t, "inputs")
		ignore := func(*handoffv1.State, desk.Decision, time.Time) {}
		if a, b := playAll(desk.New(p), list, ignore), playAll(desk.New(p), list, ignore); !bytes.Equal(a, b) {
			t.Fatal("a replay gives another state")
		}
	})
}

func TestJitterStaysWithinItsShareAndSpreads(t *testing.T) {
	s := desk.StandardSchedule()
	distinct := map[time.Duration]bool{}
	for i := range 200 {
		id := string(rune('a'+i%26)) + string(rune('a'+i/26))
		for n := uint32(1); n <= 10; n++ {
			got, ok := s.Pause(id, n)
			base := s.Pauses[n-1]
			if !ok || got < base || got > base+base/10 {
				t.Fatalf("attempt %d pauses %s, want %s plus at most a tenth", n, got, base)
			}
			if n == 4 {
				distinct[got] = true
			}
		}
	}
	if len(distinct) < 150 {
		t.Fatalf("200 deliveries share %d pauses", len(distinct))
	}
	if _, ok := s.Pause("a", 11); ok {
		t.Fatal("there is an eleventh attempt")
	}
}
