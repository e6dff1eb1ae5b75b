package bus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
)

func TestTheLastMessagesOfManySubjectsAreRead(t *testing.T) {
	t.Parallel()
	b := bustest.New(t)
	subjects := make([]string, 0, 300)
	for i := range 300 {
		lead := fmt.Sprintf("lead%d", i)
		subjects = append(subjects, bus.Subject(bus.Scores, lead, bus.KindState))
		if i%3 == 0 {
			continue // has none
		}
		for _, data := range []string{"old", lead} {
			if _, err := b.Publish(t.Context(), &nats.Msg{Subject: subjects[i], Data: []byte(data)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	found, err := b.LastMsgs(t.Context(), bus.Scores, subjects)
	if err != nil || len(found) != 200 {
		t.Fatalf("found %d, %v", len(found), err)
	}
	for i, s := range subjects {
		if m := found[s]; m != nil && string(m.Data) != fmt.Sprintf("lead%d", i) {
			t.Errorf("%s has %q", s, m.Data)
		}
	}
	if found, err := b.LastMsgs(t.Context(), bus.Scores, subjects[:1]); err != nil || len(found) != 0 {
		t.Errorf("a subject without messages: %v, %v", found, err)
	}
}

// A server that is silent, or falls silent in the middle, has not said that
// there is nothing.
func TestSilenceIsNotTheAnswerThatThereIsNothing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(*nats.Msg){
		"silent": func(*nats.Msg) {},
		"falls silent": func(m *nats.Msg) {
			half := nats.NewMsg(m.Reply)
			half.Data = []byte("x")
			half.Header = nats.Header{
				"Nats-Stream": {"SILENT"}, "Nats-Sequence": {"1"}, "Nats-Subject": {"a"},
				"Nats-Time-Stamp": {time.Now().UTC().Format(time.RFC3339Nano)}, "Nats-Num-Pending": {"1"},
			}
			_ = m.RespondMsg(half)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bustest.New(t)
			if _, err := b.NC.Subscribe("$JS.API.DIRECT.GET.SILENT", answer); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			found, err := b.LastMsgs(ctx, "SILENT", []string{"a", "b"})
			if !errors.Is(err, bus.ErrUnavailable) {
				t.Errorf("found %v, error %v; want that it is unavailable", found, err)
			}
		})
	}
}
