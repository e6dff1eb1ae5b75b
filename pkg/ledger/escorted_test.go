package ledger

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// escortedWork is the first record of a lead, with two messages beside it.
func escortedWork(t *testing.T, l *Ledger[*leadv1.Lead], lead string, told *uint64) *work[*leadv1.Lead] {
	t.Helper()
	rec := &ledgerv1.Record{Version: 1, Id: "record of " + lead}
	raw, err := encode(rec)
	if err != nil {
		t.Fatal(err)
	}
	w := &work[*leadv1.Lead]{lead: lead, ent: l.newEntry(0, nil), rec: rec, raw: raw}
	e := &Escort{Stored: func(first uint64) { *told = first }}
	for _, id := range []string{"1", "2"} {
		e.Msgs = append(e.Msgs, bus.ExpectLast(&nats.Msg{Subject: bus.Subject(bus.Scores, lead, "beside", id)}, 0))
	}
	w.escortBy(&command{escort: e})
	return w
}

// The log may have a batch whose acknowledgement nobody got.
func TestABatchWhoseAnswerIsLostIsFoundOnTheLogOrIsNotBelieved(t *testing.T) {
	t.Parallel()
	now := moment(0)
	ln := idleLane(t, &now)
	l := ln.l
	l.d.Bus = bustest.New(t)
	var there, missing uint64
	stored, lost := escortedWork(t, l, "a", &there), escortedWork(t, l, "b", &missing)
	msgs := append([]*nats.Msg{{Subject: "scores.00.x.other", Header: nats.Header{}}}, append(stored.escorts[0].Msgs, l.message(stored))...)
	ack, err := jetstreamext.PublishMsgBatch(t.Context(), l.d.Bus.JS, msgs, jetstreamext.BatchFlowControl{})
	if err != nil {
		t.Fatal(err)
	}
	works := []*work[*leadv1.Lead]{stored, lost}
	l.afterFailedBatch(t.Context(), works, bus.ErrUnavailable)
	if stored.err != nil || stored.seq != ack.Sequence {
		t.Errorf("the stored one is at %d: %v", stored.seq, stored.err)
	}
	if stored.arrive(); there != ack.Sequence-2 {
		t.Errorf("its escort was told %d, the record is at %d", there, ack.Sequence)
	}
	if lost.err == nil || missing != 0 {
		t.Errorf("the other one: %v, its escort was told %d", lost.err, missing)
	}
}

func TestRecordsWithEscortsGatherWhileABatchIsUnderWay(t *testing.T) {
	t.Parallel()
	now := moment(0)
	ln := idleLane(t, &now)
	with := func(lead string) *item {
		it := inputOf(lead, lead, false)
		it.cmd = &command{escort: &Escort{Msgs: make([]*nats.Msg, 2)}}
		return it
	}
	ln.route(with("a"))
	if !ln.ready() {
		t.Fatal("the first one waits")
	}
	ln.prompt.load(passMax)
	ln.aloft[prompt], ln.escorting = 1, 1
	ln.route(inputOf("plain", "1", false))
	if !ln.ready() {
		t.Error("who needs no batch waits for one")
	}
	ln.prompt.load(passMax)
	for n := 0; ln.prompt.messages < passMax; n++ {
		if ln.route(with(moment(n).String())); ln.prompt.messages < passMax && ln.ready() {
			t.Fatalf("%d messages are a batch", ln.prompt.messages)
		}
	}
	if !ln.ready() {
		t.Error("a full batch waits")
	}
	if got := messages(ln.prompt.load(passMax)); got > passMax || got < passMax-3 || ln.prompt.messages != passMax+2-got {
		t.Errorf("a pass has %d messages, %d are left", got, ln.prompt.messages)
	}
}
