package handoff_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/leadview/leadtest"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

const (
	held         = handoffv1.HandoffStatus_HANDOFF_STATUS_HELD
	assigned     = handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED
	accepted     = handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED
	recycled     = handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED
	withdrawn    = handoffv1.HandoffStatus_HANDOFF_STATUS_WITHDRAWN
	isDelivered  = handoffv1.DeliveryStatus_DELIVERY_STATUS_DELIVERED
	isParked     = handoffv1.DeliveryStatus_DELIVERY_STATUS_PARKED
	typeAssigned = "com.nurture.handoff.assigned"
)

func TestAQualifiedLeadReachesSalesWithTheEvidence(t *testing.T) {
	crm := newCRM(t, always(200))
	r := newRoom(t, setup{crm: crm})
	r.arrive("lead-1")
	w := crm.next()
	d := w.dossier
	if w.kind != typeAssigned || d.GetProfile().GetEmail() != "lead-1@acme.example" || d.GetVerdict() != "asked for a demo" ||
		len(d.GetReasons()) != 2 || len(d.GetTimeline()) != 1 || len(d.GetTouches()) != 1 || len(d.GetMissing()) != 0 {
		t.Fatalf("got %s %v", w.kind, d)
	}
	if len(w.body) > 20_000 {
		t.Fatalf("%d bytes", len(w.body))
	}
	h := r.until("lead-1", "delivered", deliveryIs(0, isDelivered))
	if h.GetRep() != "ada" || h.GetWhy() != "fast_track:demo" || h.GetDeliveries()[0].GetId() != w.id {
		t.Fatalf("got %v", h)
	}
	out, err := r.bus.LastMsg(t.Context(), bus.Outbound, bus.OutboundSubject("handoff.assigned"))
	if err != nil {
		t.Fatal(err)
	}
	event := struct {
		ID, Type, Subject string
		Data              json.RawMessage
	}{}
	told := &handoffv1.Dossier{}
	if err := errors.Join(json.Unmarshal(out.Data, &event), protojson.Unmarshal(event.Data, told)); err != nil {
		t.Fatal(err)
	}
	if event.ID != w.id || event.Type != w.kind || event.Subject != "lead-1" || told.GetVerdict() != d.GetVerdict() || !proto.Equal(told.GetScore(), d.GetScore()) ||
		len(told.GetReasons()) != 2 || len(told.GetTouches()) != 1 || !slices.Equal(told.GetMissing(), []string{"lead", "timeline"}) {
		t.Errorf("OUTBOUND has %s", out.Data)
	}
	for _, personal := range []string{"lead-1@acme.example", d.GetProfile().GetFirstName(), d.GetTimeline()[0].GetId()} {
		if personal != "" && strings.Contains(string(out.Data), personal) {
			t.Errorf("OUTBOUND has %q: %s", personal, out.Data)
		}
	}
	r.qualify("lead-1") // again, while sales has it
	r.arrive("lead-2")
	if w := crm.next(); w.dossier.GetLeadId() != "lead-2" {
		t.Fatalf("lead-1 was handed over twice: %v", w)
	}
}

func TestALeadIsHeldUntilItsProfileIsComplete(t *testing.T) {
	crm := newCRM(t, always(200))
	r := newRoom(t, setup{crm: crm, routes: "gate: {look_again: {first: 1h, max: 1h}}\n" + plainRoutes})
	r.others.know(leadtest.WithFacts(&leadv1.Lead{LeadId: "lead-1", Profile: &leadv1.Profile{FirstName: "Jo"}}))
	r.qualify("lead-1")
	if h := r.until("lead-1", "held", inStatus(held)); h.GetReason() != "missing_email" {
		t.Fatalf("got %v", h)
	}
	r.others.know(someone("lead-1"))
	r.record(bus.Leads, "lead-1", &ingestv1.State{Lead: someone("lead-1")})
	r.until("lead-1", "assigned", inStatus(assigned))
	crm.next()
}

func TestAHeldLeadThatCoolsOffIsWithdrawn(t *testing.T) {
	r := newRoom(t, setup{})
	r.others.know(leadtest.WithFacts(&leadv1.Lead{LeadId: "lead-1"}))
	r.qualify("lead-1")
	r.until("lead-1", "held", inStatus(held))
	r.record(bus.Scores, "lead-1", &scoringv1.State{}, &scoringv1.Event{Fact: &scoringv1.Event_StageChanged{
		StageChanged: &scoringv1.StageChanged{From: leadv1.Stage_STAGE_QUALIFIED, To: leadv1.Stage_STAGE_NURTURING, Reason: "cooled"},
	}})
	r.until("lead-1", "withdrawn", inStatus(withdrawn))
}

func TestAFreeRepGetsTheLeadThatWaitsLongest(t *testing.T) {
	r := newRoom(t, setup{routes: "gate: {look_again: {first: 1h, max: 1h}}\nsla: {respond_within: 0s}\nreps: [{id: ada, name: Ada Example, capacity: 1}]\n"})
	r.arrive("lead-1")
	r.until("lead-1", "assigned", inStatus(assigned))
	for _, lead := range []string{"lead-2", "lead-3"} {
		r.arrive(lead)
		if h := r.until(lead, "held", inStatus(held)); h.GetReason() != "no_capacity" {
			t.Fatalf("got %v", h)
		}
	}
	if _, err := r.sales.Reject(t.Context(), &handoffv1.RejectRequest{LeadId: "lead-1", Reason: leadv1.RejectReason_REJECT_REASON_NOT_READY}); err != nil {
		t.Fatal(err)
	}
	r.until("lead-2", "assigned", inStatus(assigned))
	if h := r.until("lead-3", "held", inStatus(held)); h.GetRep() != "" {
		t.Fatalf("got %v", h)
	}
}

func TestTheBoardIsRebuiltAfterARestart(t *testing.T) {
	routes := "gate: {look_again: {first: 1h, max: 1h}}\nsla: {respond_within: 0s}\nreps: [{id: ada, name: Ada Example, capacity: 1}]\n"
	r := newRoom(t, setup{routes: routes})
	r.arrive("lead-1")
	r.until("lead-1", "assigned", inStatus(assigned))
	r.stop()
	again := newRoom(t, setup{routes: routes, on: r.bus})
	again.arrive("lead-2")
	if h := again.until("lead-2", "held", inStatus(held)); h.GetReason() != "no_capacity" {
		t.Fatalf("got %v", h)
	}
	again.stop()
	roomy := newRoom(t, setup{routes: strings.Replace(routes, "capacity: 1", "capacity: 5", 1), on: r.bus})
	roomy.others.know(someone("lead-2"))
	roomy.until("lead-2", "assigned", func(h *handoffv1.Handoff) bool { return h.GetStatus() == assigned })
}

// parked waits for n parked entries.
func TestASilentRepIsRemindedAndLosesTheLead(t *testing.T) {
	crm := newCRM(t, always(200))
	r := newRoom(t, setup{crm: crm, routes: "sla: {respond_within: 200ms, reminders: 1, remind_every: 200ms, reassignments: 1}\n" +
		"reps: [{id: ada, name: Ada Example}, {id: bo, name: Bo Example}]\n"})
	r.arrive("lead-1")
	var kinds []string
	for range 4 {
		kinds = append(kinds, strings.TrimPrefix(crm.next().kind, "com.nurture.handoff."))
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"assigned", "reassigned", "reminded", "reminded"}) {
		t.Fatalf("got %v", kinds)
	}
	h := r.until("lead-1", "left alone", func(h *handoffv1.Handoff) bool { return h.GetReason() == "sla_exhausted" })
	if h.GetRep() != "bo" || h.GetReassignments() != 1 {
		t.Fatalf("got %v", h)
	}
}

func TestEveryStateCanBeRebuiltFromTheLog(t *testing.T) {
	crm := newCRM(t, func(n int) int { return []int{200, 500}[n%2] })
	r := newRoom(t, setup{crm: crm, routes: "delivery: {schedule: [0s, 10ms, 20ms, 40ms, 80ms, 160ms, 320ms]}\n" +
		"sla: {respond_within: 300ms, remind_every: 100ms}\nreps: [{id: ada, name: Ada Example, weight: 2}, {id: bo, name: Bo Example}]\n"})
	leads := []string{"lead-1", "lead-2", "lead-3", "lead-4", "lead-5"}
	for _, lead := range leads {
		r.arrive(lead)
	}
	for i, lead := range leads {
		r.until(lead, "assigned", inStatus(assigned))
		if i%2 == 0 {
			if _, err := r.sales.Accept(t.Context(), &handoffv1.AcceptRequest{LeadId: lead}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, lead := range leads {
		r.until(lead, "settled", func(h *handoffv1.Handoff) bool {
			return !slices.ContainsFunc(h.GetDeliveries(), func(d *handoffv1.Delivery) bool {
				return d.GetStatus() != isDelivered && d.GetStatus() != isParked
			}) && (h.GetStatus() == accepted || h.GetReason() == "sla_exhausted")
		})
	}
	report, err := r.svc.Ledger().Verify(t.Context())
	if err != nil || report.Leads != len(leads) || len(report.Mismatches) != 0 {
		t.Fatalf("got %+v, %v", report, err)
	}
}
