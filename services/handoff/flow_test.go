package handoff_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nurturehq/nurture/pkg/bus"
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
	if err != nil || string(out.Data) != string(w.body) {
		t.Fatalf("the event on OUTBOUND differs: %v\n%s\n%s", err, out.Data, w.body)
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
	r.others.know(&leadv1.Lead{LeadId: "lead-1", Profile: &leadv1.Profile{FirstName: "Jo"}})
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
	r.others.know(&leadv1.Lead{LeadId: "lead-1"})
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

func TestADeliveryIsRetriedUnderTheSameIDUntilTheCRMTakesIt(t *testing.T) {
	crm := newCRM(t, func(n int) int {
		if n < 3 {
			return 500
		}
		return 200
	})
	r := newRoom(t, setup{crm: crm, routes: "delivery: {schedule: [0s, 1s, 2s], scale: 0.1}\n" + plainRoutes})
	r.arrive("lead-1")
	ids := []string{crm.next().id, crm.next().id, crm.next().id}
	if len(slices.Compact(ids)) != 1 {
		t.Fatalf("ids %v", ids)
	}
	if h := r.until("lead-1", "delivered", deliveryIs(0, isDelivered)); h.GetDeliveries()[0].GetAttempts() != 3 {
		t.Fatalf("got %v", h)
	}
}

func TestWhatCannotBeDeliveredIsParkedAndCanBeRedriven(t *testing.T) {
	crm := newCRM(t, func(n int) int {
		if n <= 2 {
			return 500
		}
		return 200
	})
	r := newRoom(t, setup{crm: crm, routes: "delivery: {schedule: [0s, 10ms]}\n" + plainRoutes})
	r.arrive("lead-1")
	r.until("lead-1", "parked", deliveryIs(0, isParked))
	entry := r.parked(1)[0]
	if entry.GetReason() != "exhausted" || entry.GetLeadId() != "lead-1" || strings.Contains(string(entry.GetData()), "acme.example") {
		t.Fatalf("got %v", entry)
	}
	if err := r.bus.Redrive(t.Context(), entry.Seq); err != nil {
		t.Fatal(err)
	}
	r.until("lead-1", "delivered", deliveryIs(0, isDelivered))
}

// parked waits for n parked entries.
func (r *room) parked(n int) []bus.ParkedMsg {
	r.tb.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if list, err := r.bus.ListParked(r.tb.Context()); err == nil && len(list) >= n {
			return list
		}
		<-time.After(5 * time.Millisecond)
	}
	r.tb.Fatalf("there are never %d parked entries", n)
	return nil
}

func TestAnEndpointThatIsGoneStaysDisabledUntilItsGenerationChanges(t *testing.T) {
	crm := newCRM(t, func(n int) int {
		if n == 1 {
			return 410
		}
		return 200
	})
	r := newRoom(t, setup{crm: crm})
	r.arrive("lead-1")
	crm.next()
	r.until("lead-1", "parked", deliveryIs(0, isParked))
	r.stop()

	restarted := newRoom(t, setup{crm: crm, on: r.bus})
	restarted.arrive("lead-2")
	h := restarted.until("lead-2", "parked", deliveryIs(0, isParked))
	if d := h.GetDeliveries()[0]; d.GetReason() != "endpoint_disabled" {
		t.Fatalf("got %v", d)
	}
	for _, p := range restarted.parked(2) {
		if p.GetReason() != "endpoint_disabled" {
			t.Fatalf("got %v", p)
		}
	}
	restarted.stop()

	mended := newRoom(t, setup{crm: crm, on: r.bus, generation: "2"})
	mended.others.know(someone("lead-2"))
	if _, err := mended.sales.Redeliver(t.Context(), &handoffv1.RedeliverRequest{LeadId: "lead-2", DeliveryId: h.GetDeliveries()[0].GetId()}); err != nil {
		t.Fatal(err)
	}
	if w := crm.next(); w.dossier.GetLeadId() != "lead-2" {
		t.Fatalf("got %v", w)
	}
	mended.until("lead-2", "delivered", deliveryIs(0, isDelivered))
}

func TestAServiceThatHangsIsMissingInTheDossierAndStopsNothing(t *testing.T) {
	crm := newCRM(t, always(200))
	r := newRoom(t, setup{crm: crm, hang: true, askWithin: 100 * time.Millisecond})
	r.arrive("lead-1")
	w := crm.next()
	if !slices.Equal(w.dossier.GetMissing(), []string{"score"}) || w.dossier.GetProfile().GetEmail() == "" {
		t.Fatalf("missing %v", w.dossier.GetMissing())
	}
}

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

func TestSalesAnswersOnceHoweverOftenItAsks(t *testing.T) {
	r := newRoom(t, setup{})
	r.arrive("lead-1")
	r.until("lead-1", "assigned", inStatus(assigned))
	for range 3 {
		resp, err := r.sales.Accept(t.Context(), &handoffv1.AcceptRequest{LeadId: "lead-1", By: "ada", RequestId: "r1"})
		if err != nil || resp.GetHandoff().GetStatus() != accepted {
			t.Fatalf("got %v, %v", resp, err)
		}
	}
	for range 2 { // the second one repeats the request, although the status forbids it now
		resp, err := r.sales.Reject(t.Context(), &handoffv1.RejectRequest{
			LeadId: "lead-1", Reason: leadv1.RejectReason_REJECT_REASON_NO_BUDGET, RequestId: "r1",
		})
		if err != nil || resp.GetHandoff().GetStatus() != recycled {
			t.Fatalf("got %v, %v", resp, err)
		}
	}
	_, err := r.sales.Accept(t.Context(), &handoffv1.AcceptRequest{LeadId: "lead-1", RequestId: "r2"})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "it is RECYCLED") {
		t.Fatalf("got %v", err)
	}
}

func TestErrorsHaveTheStatusThatSaysWhoHasToAct(t *testing.T) {
	r := newRoom(t, setup{})
	r.arrive("lead-1")
	r.until("lead-1", "assigned", inStatus(assigned))
	ctx := t.Context()
	calls := map[string]struct {
		call func() error
		want codes.Code
	}{
		"an unknown lead": {func() error {
			_, err := r.sales.Accept(ctx, &handoffv1.AcceptRequest{LeadId: "nobody"})
			return err
		}, codes.NotFound},
		"no handoff to show": {func() error {
			_, err := r.sales.GetHandoff(ctx, &handoffv1.GetHandoffRequest{LeadId: "nobody"})
			return err
		}, codes.NotFound},
		"recycling what nobody accepted": {func() error {
			_, err := r.sales.Recycle(ctx, &handoffv1.RecycleRequest{LeadId: "lead-1"})
			return err
		}, codes.FailedPrecondition},
		"a reject without a reason": {func() error {
			_, err := r.sales.Reject(ctx, &handoffv1.RejectRequest{LeadId: "lead-1"})
			return err
		}, codes.InvalidArgument},
		"OTHER without a text": {func() error {
			_, err := r.sales.Reject(ctx, &handoffv1.RejectRequest{LeadId: "lead-1", Reason: leadv1.RejectReason_REJECT_REASON_OTHER})
			return err
		}, codes.InvalidArgument},
		"an unknown delivery": {func() error {
			_, err := r.sales.Redeliver(ctx, &handoffv1.RedeliverRequest{LeadId: "lead-1", DeliveryId: "x"})
			return err
		}, codes.NotFound},
	}
	for name, c := range calls {
		if err := c.call(); status.Code(err) != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestSalesCanAnswerOverPlainHTTP(t *testing.T) {
	r := newRoom(t, setup{})
	r.arrive("lead-1")
	r.until("lead-1", "assigned", inStatus(assigned))
	post := func(path, body string) (int, map[string]any) {
		resp, err := http.Post(r.http+path, "application/json", strings.NewReader(body)) //nolint:noctx // a test of the plain surface
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		raw, _ := io.ReadAll(resp.Body)
		var got map[string]any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatalf("%s: %s", path, raw)
		}
		return resp.StatusCode, got
	}
	if code, got := post("/v1/handoffs/lead-1:accept", `{"by":"ada"}`); code != 200 {
		t.Fatalf("%d %v", code, got)
	}
	if code, got := post("/v1/handoffs/lead-1/outcome", `{"outcome":"OUTCOME_WON","amountMinor":"120000","currency":"EUR"}`); code != 200 {
		t.Fatalf("%d %v", code, got)
	}
	if code, got := post("/v1/handoffs/lead-1:reject", `{"reason":"REJECT_REASON_NOT_READY"}`); code != 409 || !strings.Contains(got["detail"].(string), "it is WON") {
		t.Fatalf("%d %v", code, got)
	}
}

func TestTheDossierAndTheBatchCanBeRead(t *testing.T) {
	r := newRoom(t, setup{})
	r.arrive("lead-1")
	r.arrive("lead-2")
	r.until("lead-1", "assigned", inStatus(assigned))
	r.until("lead-2", "assigned", inStatus(assigned))
	d, err := r.sales.GetDossier(t.Context(), &handoffv1.GetDossierRequest{LeadId: "lead-1"})
	if err != nil || d.GetDossier().GetProfile().GetEmail() == "" || d.GetDossier().GetHandoff().GetRep() != "ada" {
		t.Fatalf("got %v, %v", d, err)
	}
	b, err := r.sales.BatchGetHandoffs(t.Context(), &handoffv1.BatchGetHandoffsRequest{LeadIds: []string{"lead-2", "nobody", "lead-1"}})
	if err != nil || len(b.GetHandoffs()) != 2 || b.GetHandoffs()[0].GetLeadId() != "lead-2" {
		t.Fatalf("got %v, %v", b, err)
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
