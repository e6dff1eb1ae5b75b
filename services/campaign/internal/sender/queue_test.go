package sender_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/sender"
)

// claims counts the touches that were claimed so far.
func (o *office) claims() int {
	s, err := o.bus.JS.Stream(o.tb.Context(), bus.Campaign)
	if err != nil {
		o.tb.Fatal(err)
	}
	info, err := s.Info(o.tb.Context(), jetstream.WithSubjectFilter("campaign.claim.>"))
	if err != nil {
		o.tb.Fatal(err)
	}
	return len(info.State.Subjects)
}

// turnstile is a slow server: each bulk mail waits until it is let through, and
// an urgent one waits for nothing.
type turnstile struct {
	held, through atomic.Int64
	open          chan struct{}
}

func (ts *turnstile) next(to string) fault {
	if strings.HasPrefix(to, "bulk") {
		ts.held.Add(1)
		<-ts.open
		ts.held.Add(-1)
		ts.through.Add(1)
	}
	return fine
}

// letThrough opens the turnstile for one mail after the other until something is
// so, for at most so many.
func (ts *turnstile) letThrough(t *testing.T, most int64, what string, so func() bool) {
	t.Helper()
	for before := ts.through.Load(); !so(); {
		if n := ts.through.Load() - before; n > most {
			t.Fatalf("%d bulk mails went out, and not yet: %s", n, what)
		}
		select {
		case ts.open <- struct{}{}:
		case <-time.After(time.Millisecond):
		}
	}
}

// TestAnUrgentMailOvertakesWhateverWaits has a backlog of which a part is claimed
// and waits for the connections, and the rest has not been looked at.
func TestAnUrgentMailOvertakesWhateverWaits(t *testing.T) {
	t.Parallel()
	const backlog, connections = 600, 8
	ts := &turnstile{open: make(chan struct{})}
	o := newOffice(t, ts.next)
	for i := range backlog {
		o.meet(fmt.Sprintf("bulk%d", i))
		o.plan(fmt.Sprintf("bulk%d", i))
	}
	o.sender(func(opts *sender.Options, d *sender.Deps) {
		opts.Batch, opts.Workers, opts.AttemptTimeout = 256, 1, time.Minute
		d.Pool = sender.NewPool(sender.PoolOptions{Addr: o.addr, TLS: sender.TLSNone, Connections: connections})
	})
	release := sync.OnceFunc(func() { close(ts.open) })
	t.Cleanup(release)
	ledgertest.Eventually(t, "every connection is busy and 200 mails wait for them", func() bool {
		if ts.held.Load() == connections && o.claims()-int(ts.through.Load()) > 200 {
			return true
		}
		select {
		case ts.open <- struct{}{}: // the first batch may be a small one
		default:
		}
		return false
	})
	o.meet("ann")
	o.planUrgent("ann")
	ledgertest.Eventually(t, "the urgent touch is looked at while nothing moves", func() bool { return o.looksFor("ann") == 1 })
	ts.letThrough(t, 180, "the urgent touch is claimed", func() bool { return o.looksFor("ann") == 2 })
	ts.letThrough(t, 40, "the urgent mail", func() bool { return o.sink.took()[messageID("ann")] == 1 })
	release()
	for i := range backlog {
		o.wantSettled(fmt.Sprintf("bulk%d", i), sent, "accepted")
	}
	o.wantSettled("ann", sent, "accepted")
	for id, n := range o.sink.took() {
		if n != 1 {
			t.Errorf("%s went out %d times", id, n)
		}
	}
}

// A process is killed when the server has the mail and the log does not know it
// yet: both queues meet the touch again, and it is not sent again.
func TestAnUrgentMailWhoseSenderWasKilledIsNotSentAgain(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	o := newOfficeOn(t, bustest.Connect(t, srv), always(fine))
	o.meet("ann")
	o.planUrgent("ann")
	mortal, dead, buried := bustest.Connect(t, srv), make(chan struct{}), make(chan struct{})
	die := sync.OnceFunc(func() { mortal.NC.Close(); close(dead) })
	killed := o.newSender(func(_ *sender.Options, d *sender.Deps) {
		d.Bus = mortal
		d.Settle = func(context.Context, string, string, *campaignv1.Outcome) (*campaignv1.Touch, error) {
			die()
			<-buried // a dead process tells nothing
			return nil, nil
		}
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = killed.Run(t.Context()) // its connection is cut
	}()
	t.Cleanup(func() { close(buried); <-ended })
	<-dead
	o.planUrgent("ann")
	o.plan("ann")
	o.sender(func(_ *sender.Options, d *sender.Deps) {
		d.Now = func() time.Time { return time.Now().Add(time.Minute) }
	})
	o.wantSettled("ann", ambiguous, "sender_vanished")
	if n := o.sink.took()[messageID("ann")]; n != 1 {
		t.Errorf("%d mails", n)
	}
}
