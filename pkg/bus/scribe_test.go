package bus_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
)

// scribe writes until the test ends.
func scribe(t *testing.T, o bus.ScribeOptions) *bus.Scribe {
	t.Helper()
	s := bus.NewScribe(o)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return s
}

// putAll writes n messages at once, made by number; errors are by number.
func putAll(t *testing.T, s *bus.Scribe, n int, msg func(i int) *nats.Msg) []error {
	t.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = s.Put(t.Context(), msg(i)) })
	}
	all.Wait()
	return errs
}

func TestAScribeStoresEveryMessageOnceHoweverItGroupsThem(t *testing.T) {
	for _, patient := range []bool{false, true} {
		b := bustest.New(t)
		s := scribe(t, bus.ScribeOptions{Bus: b, Patient: patient})
		const n = 300
		for range 2 { // the second time all are repeats
			errs := putAll(t, s, n, func(i int) *nats.Msg {
				m := &nats.Msg{Subject: bus.OutboundSubject("test." + strconv.Itoa(i)), Data: []byte("x"), Header: nats.Header{}}
				m.Header.Set(jetstream.MsgIDHeader, strconv.Itoa(i))
				return m
			})
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
		}
		stream, err := b.JS.Stream(t.Context(), bus.Outbound)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().State.Msgs; got != n {
			t.Errorf("patient %v: %d messages, want %d", patient, got, n)
		}
	}
}

func TestAMessageThatSpoilsABatchFailsAlone(t *testing.T) {
	b := bustest.New(t)
	s := scribe(t, bus.ScribeOptions{Bus: b})
	taken := bus.OutboundSubject("test.7")
	if _, err := b.Publish(t.Context(), &nats.Msg{Subject: taken, Data: []byte("first")}); err != nil {
		t.Fatal(err)
	}
	errs := putAll(t, s, 200, func(i int) *nats.Msg {
		return bus.ExpectLast(&nats.Msg{Subject: bus.OutboundSubject("test." + strconv.Itoa(i)), Data: []byte("x")}, 0)
	})
	for i, err := range errs {
		if want := i == 7; errors.Is(err, bus.ErrConflict) != want || !want && err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
}
