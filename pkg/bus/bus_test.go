package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

func TestSubjectsOfALeadComeApartAgain(t *testing.T) {
	for _, id := range []string{"", "t-1", "t-1.x"} {
		tokens := []string{id}
		if id == "" {
			tokens = nil
		}
		s := bus.Subject(bus.Handoff, "lead1", bus.KindOutcome, tokens...)
		lead, kind, got, ok := bus.Split(s)
		if !ok || lead != "lead1" || kind != bus.KindOutcome || got != id {
			t.Errorf("Split(%q) = %q %q %q %v", s, lead, kind, got, ok)
		}
	}
	if _, _, _, ok := bus.Split("inbound.website"); ok {
		t.Error("a subject without a lead was taken apart")
	}
}

func TestBucketsAreSpreadEvenly(t *testing.T) {
	const leads = 64000
	seen := map[string]int{}
	for i := range leads {
		seen[bus.BucketOf(fmt.Sprintf("0193a%08x", i*2654435761))]++
	}
	if len(seen) != bus.Buckets {
		t.Fatalf("%d of %d buckets are used", len(seen), bus.Buckets)
	}
	for b, n := range seen {
		if n < leads/bus.Buckets*8/10 || n > leads/bus.Buckets*12/10 {
			t.Errorf("bucket %s holds %d leads, want about %d", b, n, leads/bus.Buckets)
		}
	}
}

func TestAClaimIsWonOnceForEver(t *testing.T) {
	b := bustest.New(t)
	subject := bus.IdentitySubject("email", "abc")
	for i := range 3 {
		won, err := b.Claim(t.Context(), subject, []byte{byte(i)})
		if err != nil || won != (i == 0) {
			t.Errorf("try %d: won %v, error %v", i, won, err)
		}
	}
	msg, err := b.LastMsg(t.Context(), bus.Leads, subject)
	if err != nil || len(msg.Data) != 1 || msg.Data[0] != 0 {
		t.Errorf("claim holds %v, %v", msg, err)
	}
	if _, err := b.LastMsg(t.Context(), bus.Leads, bus.IdentitySubject("email", "none")); !errors.Is(err, bus.ErrNoMessage) {
		t.Errorf("a subject without messages answers %v", err)
	}
}

func expecting(subject string, seq uint64) *nats.Msg {
	return bus.ExpectLast(&nats.Msg{Subject: subject, Header: nats.Header{}}, seq)
}

// TestServerCodes provokes every answer of the server that the ledger decides by.
func TestServerCodes(t *testing.T) {
	b := bustest.New(t)
	if _, err := b.Publish(t.Context(), expecting("leads.state.00.a", 0)); err != nil {
		t.Fatal(err)
	}
	batch := func(msgs ...*nats.Msg) error {
		_, err := jetstreamext.PublishMsgBatch(t.Context(), b.JS, msgs, jetstreamext.BatchFlowControl{AckFirst: false})
		return err
	}
	withID := func(id string) *nats.Msg {
		return &nats.Msg{Subject: "leads.state.00.b", Header: nats.Header{jetstream.MsgIDHeader: {id}}}
	}
	if _, err := b.Publish(t.Context(), withID("dup")); err != nil {
		t.Fatal(err)
	}
	large := make([]*nats.Msg, 1001)
	for i := range large {
		large[i] = expecting(fmt.Sprintf("leads.state.00.n%d", i), 0)
	}
	_, single := b.JS.PublishMsg(t.Context(), expecting("leads.state.00.a", 0))
	cases := map[string]struct {
		err  error
		code jetstream.ErrorCode
		is   error
	}{
		"a single write on an old state":    {single, bus.CodeWrongLast, bus.ErrConflict},
		"a batch with one old state":        {batch(expecting("leads.state.00.c", 0), expecting("leads.state.00.a", 0)), bus.CodeWrongLast, bus.ErrConflict},
		"two writes of one lead in a batch": {batch(expecting("leads.state.00.d", 0), expecting("leads.state.00.d", 0)), bus.CodeWrongLastBatch, bus.ErrConflict},
		"a batch that is too large":         {batch(large...), bus.CodeBatchTooLarge, nil},
		"a batch with a stored message id":  {batch(withID("new"), withID("dup")), bus.CodeBatchDuplicate, nil},
		"too many open batches":             {openMany(t, b), bus.CodeBatchBusy, bus.ErrUnavailable},
	}
	for name, c := range cases {
		if got := bus.Code(c.err); got != c.code {
			t.Errorf("%s: code %d (%v), want %d", name, got, c.err, c.code)
		}
		if err := bus.Classify(c.err); c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: classified as %v, want %v", name, err, c.is)
		}
	}
}

// openMany opens more batches than a stream allows and returns the refusal.
func openMany(t *testing.T, b *bus.Bus) error {
	t.Helper()
	for i := range 60 {
		p, err := jetstreamext.NewBatchPublisher(b.JS, jetstreamext.BatchFlowControl{AckFirst: true, AckTimeout: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.AddMsg(&nats.Msg{Subject: fmt.Sprintf("scores.state.00.x%d", i), Header: nats.Header{}}); err != nil {
			return err
		}
	}
	return nil
}

func TestAServerThatIsGoneIsUnavailable(t *testing.T) {
	srv := bustest.Server(t)
	b := bustest.Connect(t, srv)
	srv.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := b.Publish(ctx, &nats.Msg{Subject: "inbound.x"}); !errors.Is(err, bus.ErrUnavailable) {
		t.Errorf("publish answered %v", err)
	}
}

func TestWorkIsSharedAndRetried(t *testing.T) {
	b := bustest.New(t)
	const n = 200
	for i := range n {
		if _, err := b.Publish(t.Context(), &nats.Msg{Subject: bus.Subject(bus.Campaign, fmt.Sprintf("lead%d", i), bus.KindState)}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bus.Msg, 4*n)
	ended := make(chan error, 2)
	for range 2 { // two replicas
		go func() {
			ended <- b.Work(ctx, bus.WorkOptions{Stream: bus.Campaign, Durable: "sender", Kinds: []string{bus.KindState}, Workers: 2},
				func(_ context.Context, msgs []bus.Msg) {
					for _, m := range msgs {
						if m.Attempt == 1 && m.Seq%10 == 0 {
							_ = m.Retry(10 * time.Millisecond)
							continue
						}
						_ = m.Ack()
						done <- m
					}
				})
		}()
	}
	seen := map[string]int{}
	for range n {
		select {
		case m := <-done:
			seen[m.Lead]++
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d were done", len(seen), n)
		}
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if len(seen) != n || len(done) != 0 {
		t.Errorf("%d of %d leads were done, %d more than once", len(seen), n, len(done))
	}
}

func TestWhatTheServerGivesUpOnIsParked(t *testing.T) {
	b := bustest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = b.WatchAdvisories(ctx) }()
	cons, err := b.JS.CreateConsumer(t.Context(), bus.Campaign, jetstream.ConsumerConfig{Durable: "careless", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 1, AckWait: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), &nats.Msg{Subject: bus.Subject(bus.Campaign, "lead1", bus.KindState), Data: []byte("payload")}); err != nil {
		t.Fatal(err)
	}
	if _, err := cons.Next(); err != nil { // taken and never acknowledged
		t.Fatal(err)
	}
	ledgertest.Eventually(t, "the message is parked", func() bool {
		_, _ = cons.Fetch(1, jetstream.FetchMaxWait(50*time.Millisecond)) // the server notices when asked
		list, err := b.ListParked(t.Context())
		return err == nil && len(list) == 1 && list[0].GetReason() == bus.ReasonAdvisory &&
			string(list[0].GetData()) == "payload" && list[0].GetLeadId() == "lead1"
	})
}

func TestParkedEntriesAreListedRedrivenAndDismissed(t *testing.T) {
	b := bustest.New(t)
	park := func(seq uint64, service, lead, subject, reason string) {
		t.Helper()
		p := &ledgerv1.Parked{Service: service, LeadId: lead, Stream: bus.Leads, Seq: seq, Subject: subject, Data: []byte("x"), Reason: reason}
		for range 2 { // twice is one entry
			if err := b.Park(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
	}
	park(1, "scoring", "lead1", "leads.state.00.lead1", bus.ReasonRefused)
	park(2, "ingest", "", "inbound.website", bus.ReasonUndecodable)
	park(3, "campaign", "lead1", "campaign.state.00.lead1", bus.ReasonAmbiguous)
	list, err := b.ListParked(t.Context())
	if err != nil || len(list) != 3 {
		t.Fatalf("listed %d entries, %v", len(list), err)
	}
	for _, p := range list[:2] {
		if err := b.Redrive(t.Context(), p.Seq); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.LastMsg(t.Context(), bus.Scores, bus.Subject(bus.Scores, "lead1", bus.KindRedrive, "redrive-1")); err != nil {
		t.Errorf("the lead's input did not go to its owner: %v", err)
	}
	if _, err := b.LastMsg(t.Context(), bus.Inbound, "inbound.website"); err != nil {
		t.Errorf("the raw event did not go back to where it was read: %v", err)
	}
	if err := b.Redrive(t.Context(), list[2].Seq); err == nil {
		t.Error("an ambiguous touch was redriven")
	}
	if err := b.Dismiss(t.Context(), list[2].Seq); err != nil {
		t.Error(err)
	}
	if left, err := b.ListParked(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("left %d entries, %v", len(left), err)
	}
	if _, err := b.GetParked(t.Context(), 99); !errors.Is(err, bus.ErrNoMessage) {
		t.Errorf("an unknown entry answers %v", err)
	}
}

func TestATraceSurvivesTheHeaders(t *testing.T) {
	otel.SetTextMapPropagator(propagation.TraceContext{})
	t.Cleanup(func() { otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator()) })
	want := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, Remote: true})
	h := nats.Header{}
	bus.Inject(trace.ContextWithSpanContext(t.Context(), want), h)
	if h["traceparent"] == nil {
		t.Fatalf("headers: %v", h)
	}
	if got := trace.SpanContextFromContext(bus.Extract(t.Context(), h)); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAnUnreachableServerSaysWhatToDo(t *testing.T) {
	_, err := bus.Connect(t.Context(), bus.Options{URL: "nats://127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "NATS_URL") {
		t.Errorf("answered %v", err)
	}
}

func TestAQueueThatEndsGivesBackWhatItHasNotBegun(t *testing.T) {
	b := bustest.New(t)
	const n = 600
	for i := range n {
		if _, err := b.Publish(t.Context(), nats.NewMsg(bus.Subject(bus.Campaign, fmt.Sprintf("lead%d", i), bus.KindState))); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan bus.Msg, 2*n)
	work := func(ctx context.Context, then func()) error {
		return b.Work(ctx, bus.WorkOptions{Stream: bus.Campaign, Durable: "sender", Kinds: []string{bus.KindState}, Batch: 64},
			func(_ context.Context, msgs []bus.Msg) {
				then()
				for _, m := range msgs {
					_ = m.Ack()
					done <- m
				}
			})
	}
	if err := work(ctx, sync.OnceFunc(stop)); err != nil {
		t.Fatal(err)
	}
	early := len(done)
	next, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- work(next, func() {}) }()
	seen := map[string]bool{}
	for len(seen) < n {
		select {
		case m := <-done:
			seen[m.Lead] = true
		case <-time.After(20 * time.Second): // AckWait is 30 s
			t.Fatalf("the first worker did %d, both together only %d of %d", early, len(seen), n)
		}
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAQueueThatIsStoppedBeforeItIsOpenEndsWithoutAnError(t *testing.T) {
	b := bustest.New(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	err := b.Work(ctx, bus.WorkOptions{Stream: bus.Leads, Durable: "early", Kinds: []string{bus.KindState}}, func(context.Context, []bus.Msg) {
		t.Error("there was nothing to work on")
	})
	if err != nil {
		t.Error(err)
	}
}
