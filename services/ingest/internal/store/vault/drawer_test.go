package vault

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/fact"
)

func put(source string, day time.Time) *ledgerv1.Parked {
	return &ledgerv1.Parked{
		Service: "ingest", Source: source, Kind: "form", Reason: "invalid", Data: []byte("email=canary@acme.example"), Error: "email: canary",
		Headers: map[string]string{"ip": "canary-ip"}, Faults: []*ledgerv1.Fault{{Field: "email", Message: "canary is no address"}},
		Stream: bus.Inbound, Seq: 7, Subject: "inbound.website", ParkedAt: timestamppb.New(day),
	}
}

func TestWhatIsParkedTellsNobodyWhoItIsAbout(t *testing.T) {
	b := bustest.New(t)
	d := NewDrawer(b, New(b, ring(t, 1), fact.Builtin(), 10), []byte("ids"))
	day := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	for range 2 { // a repeat is one entry
		if err := errors.Join(d.Reject(t.Context(), put("website", day)), d.Park(t.Context(), put("", day))); err != nil {
			t.Fatal(err)
		}
	}
	list, err := b.ListParked(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("parked %v, %v", list, err)
	}
	for _, m := range list {
		if raw, err := proto.Marshal(m.Parked); err != nil || bytes.Contains(raw, []byte("canary")) {
			t.Errorf("%v can be read: %v", m.Parked, err)
		}
		if err := b.Redrive(t.Context(), m.Seq); err == nil {
			t.Error("it was sent back sealed")
		}
		// Another replica, started later, with a new key before the old one.
		late := NewDrawer(b, New(b, ring(t, 2, 1), fact.Builtin(), 10), []byte("ids"))
		got, err := late.Get(t.Context(), m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(put(m.GetSource(), day), got.Parked, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
	moved := proto.CloneOf(list[0].Parked)
	moved.Source = "partner"
	if err := d.Open(t.Context(), moved); err == nil {
		t.Error("it opens as another source's")
	}
}

func TestADayThatIsForgottenIsNoiseAndTheNextOneIsNot(t *testing.T) {
	b := bustest.New(t)
	v := New(b, ring(t, 1), fact.Builtin(), 10)
	d := NewDrawer(b, v, []byte("ids"))
	first := time.Date(2026, 11, 24, 23, 59, 59, 0, time.UTC)
	for i, p := range []*ledgerv1.Parked{put("website", first), put("shop", first.Add(time.Second)), put("", first)} {
		p.Seq = uint64(i)
		if err := d.Park(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	copies, err := b.ListParked(t.Context())
	if err != nil || len(copies) != 3 {
		t.Fatalf("%d parked, %v", len(copies), err)
	}
	if n, err := d.Forget(t.Context(), first); n != 0 || err != nil {
		t.Errorf("before the day is over %d are forgotten, %v", n, err)
	}
	for _, want := range []int{1, 0} { // twice is once
		if n, err := d.Forget(t.Context(), first.Add(2*time.Second)); n != want || err != nil {
			t.Errorf("%d days are forgotten, %v; want %d", n, err, want)
		}
	}
	for _, w := range []*Drawer{d, NewDrawer(b, New(b, ring(t, 1), fact.Builtin(), 10), []byte("ids"))} {
		for _, m := range copies {
			err := w.Open(t.Context(), proto.CloneOf(m.Parked))
			if gone := m.GetSource() == "website"; gone != errors.Is(err, ledger.ErrForgotten) || !gone && err != nil {
				t.Errorf("%s opens with %v", m.GetKey(), err)
			}
		}
	}
}

func TestRewrappingTakesTheKeysOfDaysAlong(t *testing.T) {
	b := bustest.New(t)
	day := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	if err := NewDrawer(b, New(b, ring(t, 1), fact.Builtin(), 10), nil).Park(t.Context(), put("website", day)); err != nil {
		t.Fatal(err)
	}
	if done, _, err := New(b, ring(t, 2, 1), fact.Builtin(), 10).Rewrap(t.Context()); done != 1 || err != nil {
		t.Errorf("rewrapped %d, %v", done, err)
	}
	list, err := b.ListParked(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if err := NewDrawer(b, New(b, ring(t, 2), fact.Builtin(), 10), nil).Open(t.Context(), list[0].Parked); err != nil {
		t.Error(err)
	}
}
