package funnel

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

func TestALiveFunnelCountsWhatWasAndWhatComes(t *testing.T) {
	b := bustest.New(t)
	records := story().records
	publish(t, b, records[:9])
	live := Follow(b, func() time.Time { return time.Now().Add(time.Hour) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- live.Run(ctx) }()
	publish(t, b, records[9:])
	if err := b.Park(ctx, &ledgerv1.Parked{Service: "scoring", LeadId: "x", Stream: bus.Leads, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	wait, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	if err := live.CatchUp(wait); err != nil {
		t.Fatal(err)
	}
	got, err := live.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	expect := want()
	expect.Parked = 1
	if diff := cmp.Diff(expect, got); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("live funnel ended with %v", err)
	}
}

func publish(t *testing.T, b *bus.Bus, records []Record) {
	t.Helper()
	for _, r := range records {
		if _, err := b.Publish(t.Context(), &nats.Msg{Subject: bus.Subject(r.Stream, r.Lead, bus.KindState), Data: r.Data}); err != nil {
			t.Fatal(err)
		}
	}
}
