package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// The test service keeps, of every lead, the list of what it applied, in order.
// Inputs are words:
//
//	wake=<duration>  asks for a wake-up that much later
//	calm             asks for none any more
//	same             changes nothing
//	bad, panic       cannot be processed
//	bigger           makes a state that no message can carry
//	forget           forgets the lead
//	urgent           makes an event that somebody waits for
type (
	state  = *leadv1.Lead
	change = ledger.Change[state]
)

var errBad = errors.New("bad input")

func tally(s state, in ledger.Input, now time.Time) (change, error) {
	word := string(in.Data)
	if in.Due() {
		word = "due"
	}
	ch := change{State: s, Reason: "told"}
	switch {
	case word == "same":
		return ledger.Unchanged[state]("nothing_new"), nil
	case word == "bad":
		s.UserIds = append(s.UserIds, "half-done")
		return change{}, errBad
	case word == "panic":
		panic("this fold has a bug")
	case word == "urgent":
		ch.Urgent = true
	case word == "bigger":
		s.Source = strings.Repeat("x", 2<<20)
	case word == "forget":
		return change{State: &leadv1.Lead{Source: "forgotten"}, Reason: "forgotten", Tombstone: true}, nil
	case word == "calm" || word == "due":
	case strings.HasPrefix(word, "wake="):
		d, err := time.ParseDuration(word[len("wake="):])
		if err != nil {
			return change{}, fmt.Errorf("parse wake-up: %w", err)
		}
		ch.WakeAt = now.Add(d)
	}
	s.UserIds = append(s.UserIds, word)
	s.Activities++
	ch.Events = append(ch.Events, &leadv1.Activity{Type: word})
	return ch, nil
}

func options() ledger.Options[state] {
	return ledger.Options[state]{
		Service: "scoring", Stream: bus.Scores, New: func() state { return &leadv1.Lead{} }, Fold: tally,
		Sources: []ledger.Source{{Stream: bus.Leads, Kinds: []string{"activity"}}},
	}
}

// patientOptions are those of a service whose inputs may wait for company.
func patientOptions() ledger.Options[state] {
	o := options()
	o.Sources[0].Patient = true
	return o
}

// open makes a ledger that does not run yet.
func open(t *testing.T, b *bus.Bus, rdb redis.UniversalClient, o ledger.Options[state]) *ledger.Ledger[state] {
	t.Helper()
	if strings.Contains(t.Name(), sealedMark) {
		o.Codec = newLock(t)
	}
	l, err := ledger.New(o, ledger.Deps{Bus: b, Redis: rdb})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// start runs a ledger until the test or stop ends it.
func start(t *testing.T, l *ledger.Ledger[state]) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ledger ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// say publishes words to a lead, as the service that owns LEADS would.
func say(t *testing.T, b *bus.Bus, lead string, words ...string) {
	t.Helper()
	for _, w := range words {
		msg := &nats.Msg{Subject: bus.Subject(bus.Leads, lead, "activity"), Data: []byte(w)}
		if _, err := b.JS.PublishMsgAsync(msg); err != nil {
			t.Fatal(err)
		}
	}
	<-b.JS.PublishAsyncComplete()
}

// heard is what a lead's state contains.
func heard(t *testing.T, l *ledger.Ledger[state], lead string) []string {
	t.Helper()
	e, err := l.Get(t.Context(), lead)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return e.State.GetUserIds()
}
