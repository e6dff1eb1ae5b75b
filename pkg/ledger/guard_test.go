package ledger

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// An owner that stood still between its decision and its schedule finds that
// somebody else has written since: the wake-up of the last record counts.
func TestAnOwnerThatStoodStillDoesNotReplaceTheWakeUpOfItsSuccessor(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	l, err := New(Options[*leadv1.Lead]{
		Service: "scoring", Stream: bus.Scores, New: func() *leadv1.Lead { return &leadv1.Lead{} },
		Fold: func(*leadv1.Lead, Input, time.Time) (Change[*leadv1.Lead], error) { return Change[*leadv1.Lead]{}, nil },
	}, Deps{Bus: b})
	if err != nil {
		t.Fatal(err)
	}
	write := func(version uint64, wake time.Time) (uint64, *ledgerv1.Record) {
		rec := &ledgerv1.Record{Version: version, WakeAt: timestamppb.New(wake), ArmedAt: timestamppb.New(wake)}
		raw, err := encode(rec)
		if err != nil {
			t.Fatal(err)
		}
		seq, err := b.Publish(t.Context(), &nats.Msg{Subject: bus.Subject(bus.Scores, "lead1", bus.KindState), Data: raw})
		if err != nil {
			t.Fatal(err)
		}
		return seq, rec
	}
	soon, late := time.Now().Add(time.Hour).UTC(), time.Now().Add(30*24*time.Hour).UTC()
	oldSeq, old := write(1, late)
	write(2, soon)

	w := &work[*leadv1.Lead]{lead: "lead1", ent: l.newEntry(oldSeq, old), arm: true}
	l.arm(t.Context(), []*work[*leadv1.Lead]{w})
	if w.err != nil {
		t.Fatal(w.err)
	}
	msg, err := b.LastMsg(t.Context(), bus.Scores, bus.Subject(bus.Scores, "lead1", bus.KindWait))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := msg.Header.Get(scheduleHeader), "@at "+soon.Format(time.RFC3339Nano); !strings.EqualFold(got, want) {
		t.Errorf("the lead wakes %s, want %s", got, want)
	}
}
