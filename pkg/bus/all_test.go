package bus_test

import (
	"errors"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
)

func TestManyMessagesGetTheirSequencesAndOneThatConflictsFailsAlone(t *testing.T) {
	for _, n := range []int{3, 1200} { // one behind the other, and two batches
		b := bustest.New(t)
		on := func(i int) string { return bus.OutboundSubject("test." + strconv.Itoa(i)) }
		if _, err := b.Publish(t.Context(), &nats.Msg{Subject: on(2), Data: []byte("first")}); err != nil {
			t.Fatal(err)
		}
		msgs := make([]*nats.Msg, n)
		for i := range msgs {
			msgs[i] = bus.ExpectLast(&nats.Msg{Subject: on(i), Data: []byte("second")}, 0)
		}
		for i, s := range b.PublishAll(t.Context(), bus.NewPace(), msgs) {
			if i == 2 {
				if !errors.Is(s.Err, bus.ErrConflict) {
					t.Errorf("of %d the one that was taken: %v", n, s.Err)
				}
				continue
			}
			last, err := b.LastMsg(t.Context(), bus.Outbound, on(i))
			if err = errors.Join(s.Err, err); err != nil || last.Sequence != s.Seq || string(last.Data) != "second" {
				t.Fatalf("message %d of %d: answer %d, %v", i, n, s.Seq, err)
			}
		}
	}
}
