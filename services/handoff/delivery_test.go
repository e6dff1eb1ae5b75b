package handoff_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

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
