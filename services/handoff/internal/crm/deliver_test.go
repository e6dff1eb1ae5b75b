package crm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
	"github.com/nurturehq/nurture/services/handoff/internal/dossier"
)

// bench is a deliverer at work by hand, on a real log and a real server.
type bench struct {
	*Deliverer
	posts atomic.Int32
	parts dossier.Parts

	mu       sync.Mutex
	outcomes map[uint32]*handoffv1.DeliveryOutcome
}

func newBench(t *testing.T, handler http.HandlerFunc) *bench {
	t.Helper()
	b := &bench{outcomes: map[uint32]*handoffv1.DeliveryOutcome{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.posts.Add(1)
		handler(w, r)
	}))
	t.Cleanup(srv.Close)
	b.Deliverer = NewDeliverer(Options{
		Bus: bustest.New(t), Endpoint: endpoint(t, srv.URL, 5*time.Second), Log: slog.New(slog.DiscardHandler), Now: time.Now, Workers: 2,
		Collect: func(_ context.Context, h *handoffv1.Handoff) dossier.Parts {
			parts := b.parts
			parts.Handoff = h
			return parts
		},
		Settle: b.settle,
		Settled: func(_ context.Context, _ string, in *handoffv1.DeliveryIntended) (bool, error) {
			return b.outcome(in.GetAttempt()) != nil, nil
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var telling sync.WaitGroup
	telling.Go(func() { b.tell.Run(ctx) })
	t.Cleanup(func() { cancel(); telling.Wait() })
	return b
}

// settle remembers outcomes, as the service's records do.
func (b *bench) settle(_ context.Context, lead string, o *handoffv1.DeliveryOutcome) error {
	if lead != "lead-1" || o.GetDeliveryId() != "ho_lead-1_1_1" {
		return fmt.Errorf("outcome of %s for %s", o.GetDeliveryId(), lead)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outcomes[o.GetAttempt()] = o
	return nil
}

// outcome is what was settled of an attempt; nil for nothing.
func (b *bench) outcome(attempt uint32) *handoffv1.DeliveryOutcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outcomes[attempt]
}

// intent is the record of a delivery's attempt.
func intent(t *testing.T, attempt uint32) bus.Msg {
	t.Helper()
	del := &handoffv1.Delivery{Id: "ho_lead-1_1_1", Type: "com.nurture.handoff.assigned", Status: handoffv1.DeliveryStatus_DELIVERY_STATUS_PENDING, Attempts: attempt}
	return record(t, del, &handoffv1.Event{Fact: &handoffv1.Event_DeliveryIntended{
		DeliveryIntended: &handoffv1.DeliveryIntended{Delivery: del, Attempt: attempt},
	}})
}

func record(t *testing.T, del *handoffv1.Delivery, events ...*handoffv1.Event) bus.Msg {
	t.Helper()
	rec := &ledgerv1.Record{}
	rec.State, _ = proto.Marshal(&handoffv1.State{Handoff: &handoffv1.Handoff{LeadId: "lead-1", Rep: "ada", Deliveries: []*handoffv1.Delivery{del}}})
	for _, e := range events {
		raw, _ := proto.Marshal(e)
		rec.Events = append(rec.Events, raw)
	}
	raw, err := proto.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Msg{
		Subject: bus.Subject(bus.Handoff, "lead-1", bus.KindState), Stream: bus.Handoff, Lead: "lead-1", Kind: bus.KindState,
		Seq: 7, Time: time.Now(), Data: raw, Attempt: 1,
	}
}

func TestAnAttemptWhoseOutcomeIsStoredIsNotRepeated(t *testing.T) {
	b := newBench(t, code(200, ""))
	m := intent(t, 1)
	for m.Attempt = 1; m.Attempt <= 3; m.Attempt++ {
		if err := b.work(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if b.posts.Load() != 1 || !b.outcome(1).GetDelivered() {
		t.Fatalf("%d posts, outcome %v", b.posts.Load(), b.outcome(1))
	}
}

func TestARetryGoesToTheCRMAloneAndNotAgainToOutbound(t *testing.T) {
	b := newBench(t, code(200, ""))
	if err := b.work(t.Context(), intent(t, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Bus.LastMsg(t.Context(), bus.Outbound, bus.OutboundSubject("handoff.assigned")); !errors.Is(err, bus.ErrNoMessage) {
		t.Fatalf("got %v", err)
	}
	if o := b.outcome(2); !o.GetDelivered() || o.GetAttempt() != 2 {
		t.Fatalf("got %v", o)
	}
}

func TestAShutdownLeavesAnAttemptToTheNextProcess(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := newBench(t, func(http.ResponseWriter, *http.Request) {
		cancel()
		panic(http.ErrAbortHandler)
	})
	if err := b.work(ctx, intent(t, 1)); err == nil {
		t.Fatal("the record counts as done")
	}
	if o := b.outcome(1); o != nil {
		t.Fatalf("a failure that is ours was stored as the CRM's: %v", o)
	}
}

func TestARecordNobodyCanReadIsParked(t *testing.T) {
	b := newBench(t, code(200, ""))
	m := intent(t, 1)
	m.Data = []byte("\xff\xff")
	if err := b.work(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	list, err := b.Bus.ListParked(t.Context())
	if err != nil || len(list) != 1 || list[0].GetReason() != bus.ReasonUndecodable || string(list[0].GetData()) != "\xff\xff" {
		t.Fatalf("got %v, %v", list, err)
	}
}

func TestDeliveriesGivenUpInOneRecordAreParkedEachOnce(t *testing.T) {
	b := newBench(t, code(200, ""))
	given := func(id string) *handoffv1.Event {
		return &handoffv1.Event{Fact: &handoffv1.Event_DeliverySettled{DeliverySettled: &handoffv1.DeliverySettled{
			Delivery: &handoffv1.Delivery{Id: id, Status: handoffv1.DeliveryStatus_DELIVERY_STATUS_PARKED},
		}}}
	}
	m := record(t, nil, given("ho_lead-1_1_1"), given("ho_lead-1_1_2"))
	for range 2 { // the record comes again
		if err := b.work(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	list, err := b.Bus.ListParked(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("got %v, %v", list, err)
	}
	for i, want := range []string{"ho_lead-1_1_1", "ho_lead-1_1_2"} {
		req := &handoffv1.RedeliverRequest{}
		if err := proto.Unmarshal(list[i].GetData(), req); err != nil || req.GetDeliveryId() != want {
			t.Errorf("entry %d would send %q again, want %s (%v)", i, req.GetDeliveryId(), want, err)
		}
	}
}

func TestADossierThatCannotBeMadeToFitIsForAPerson(t *testing.T) {
	b := newBench(t, code(200, ""))
	b.parts.Lead = &leadv1.Lead{Profile: &leadv1.Profile{Company: strings.Repeat("x", 30_000)}}
	if err := b.work(t.Context(), intent(t, 1)); err != nil {
		t.Fatal(err)
	}
	if o := b.outcome(1); !o.GetPermanent() || o.GetReason() != reasonTooLarge || b.posts.Load() != 0 {
		t.Fatalf("got %v after %d posts", o, b.posts.Load())
	}
}

func TestALongStoryStillFitsIntoAWebhook(t *testing.T) {
	got := 0
	b := newBench(t, func(_ http.ResponseWriter, r *http.Request) { got = int(r.ContentLength) })
	for range 50 {
		b.parts.Timeline = append(b.parts.Timeline, &leadv1.Activity{Type: "page_viewed", Properties: map[string]string{"url": strings.Repeat("p", 1000)}})
	}
	if err := b.work(t.Context(), intent(t, 1)); err != nil {
		t.Fatal(err)
	}
	if got == 0 || got > MaxPayload {
		t.Fatalf("%d bytes", got)
	}
}

func TestAFirstDisablingIsForAllReplicasAndForEver(t *testing.T) {
	b := newBench(t, code(410, ""))
	for n := range uint32(3) {
		if err := b.work(t.Context(), intent(t, n+1)); err != nil {
			t.Fatal(err)
		}
	}
	if b.posts.Load() != 1 || b.outcome(3).GetReason() != reasonDisabled {
		t.Fatalf("%d posts, last outcome %v", b.posts.Load(), b.outcome(3))
	}
}

func TestAnEndpointThatAnotherReplicaDisabledIsLeftAloneASecondLater(t *testing.T) {
	b := newBench(t, code(200, ""))
	now := time.Now()
	b.Now = func() time.Time { return now }
	says := func(want bool) {
		t.Helper()
		if got, err := b.isDisabled(t.Context()); err != nil || got != want {
			t.Errorf("disabled: %v, %v; want %v", got, err, want)
		}
	}
	says(false)
	if _, err := b.Bus.Claim(t.Context(), b.disabledSubject(), nil); err != nil {
		t.Fatal(err)
	}
	now = now.Add(askedFor)
	says(true)
	now = now.Add(-time.Hour)
	says(true) // for ever
}

func TestWhoWasToldToForgetALeadIsNotToldOfItAgain(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	del := &handoffv1.Delivery{Id: "ho_lead-1_1_1", Type: desk.TypeErased, Status: handoffv1.DeliveryStatus_DELIVERY_STATUS_PENDING, Attempts: 1}
	forget := record(t, del, &handoffv1.Event{Fact: &handoffv1.Event_DeliveryIntended{
		DeliveryIntended: &handoffv1.DeliveryIntended{Delivery: del, Attempt: 1},
	}})
	for _, m := range []bus.Msg{forget, intent(t, 2), forget} { // the handoff is older, and its acknowledgement was lost
		if err := b.work(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.posts.Load(); n != 2 || b.outcome(2) != nil {
		t.Errorf("%d posts, and %v of the handoff; expected what says to forget, as often as it is asked for", n, b.outcome(2))
	}
}
