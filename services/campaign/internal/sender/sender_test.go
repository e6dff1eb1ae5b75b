package sender_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/engines"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/sender"
)

func always(f fault) func(string) fault { return func(string) fault { return f } }

func TestTouchesPlannedAgainAndAgainAreSentOnceByManySenders(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	const leads = 60
	for i := range leads {
		o.meet(fmt.Sprintf("lead%d", i))
		for range 3 {
			o.plan(fmt.Sprintf("lead%d", i))
		}
	}
	for range 3 {
		o.sender(nil)
	}
	for i := range leads {
		o.wantSettled(fmt.Sprintf("lead%d", i), sent, "accepted")
	}
	for i := range leads {
		if n := o.sink.took()[messageID(fmt.Sprintf("lead%d", i))]; n != 1 {
			t.Errorf("lead%d got %d mails", i, n)
		}
	}
	if n := o.sink.connections(); n > 12 {
		t.Errorf("%d connections for %d mails: they are not kept open", n, leads)
	}
}

func TestARefusedReaderIsABounce(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(refuseReader))
	o.meet("lead1")
	o.plan("lead1")
	o.sender(nil)
	o.wantSettled("lead1", failed, "smtp_550")
	ledgertest.Eventually(t, "the bounce is told", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.bounces) == 1 && o.bounces[0] == "lead1-t1 smtp_550"
	})
}

func TestARefusedMailFailsAndIsNoBounce(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(refuseMail))
	o.meet("lead1")
	o.plan("lead1")
	o.sender(nil)
	o.wantSettled("lead1", failed, "smtp_554")
	if o.bounces != nil {
		t.Errorf("bounces %v", o.bounces)
	}
}

func TestAMailThatWasNotTakenIsPutOffAndSentWhenItIsPlannedAgain(t *testing.T) {
	t.Parallel()
	for _, first := range []fault{greyReader, busyMail} {
		t.Run(string(first), func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int32
			o := newOffice(t, func(string) fault {
				if tries.Add(1) == 1 {
					return first
				}
				return fine
			})
			o.meet("lead1")
			o.plan("lead1")
			o.sender(nil)
			ledgertest.Eventually(t, "the touch is put off", func() bool { return len(o.outcomes("lead1")) == 1 })
			if got := o.outcomes("lead1")[0]; got.GetStatus() != deferred || got.GetRetryAt() == nil {
				t.Fatalf("outcome %v", got)
			}
			o.plan("lead1")
			o.wantSettled("lead1", sent, "accepted")
			if n := o.sink.took()[messageID("lead1")]; n != 1 {
				t.Errorf("%d mails", n)
			}
		})
	}
}

func TestAConnectionThatBreaksBeforeTheMailIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	o := newOffice(t, func(string) fault {
		if tries.Add(1) <= 2 {
			return hangUpEarly
		}
		return fine
	})
	o.meet("lead1")
	o.plan("lead1")
	o.sender(nil)
	o.wantSettled("lead1", sent, "accepted")
}

func TestAMailWithoutAnAnswerIsAmbiguousAndNeverSentAgain(t *testing.T) {
	t.Parallel()
	for _, what := range []fault{hangUpLate, hangUpNone} {
		t.Run(string(what), func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, always(what))
			o.meet("lead1")
			o.plan("lead1")
			stop := o.sender(nil)
			o.wantSettled("lead1", ambiguous, "no_answer")
			for range 3 {
				o.plan("lead1")
			}
			o.meet("lead2")
			o.plan("lead2")
			o.wantSettled("lead2", ambiguous, "no_answer")
			stop()
			if n := o.sink.took()[messageID("lead1")]; n > 1 {
				t.Errorf("%d mails", n)
			}
			parked, err := o.bus.ListParked(t.Context())
			if err != nil || len(parked) != 2 || parked[0].GetReason() != bus.ReasonAmbiguous || parked[0].GetLeadId() != "lead1" {
				t.Errorf("parked %v, error %v", parked, err)
			}
		})
	}
}

func TestAnAmbiguousTouchThatIsSettledLeavesTheListAndOnlyThatOne(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(hangUpLate))
	for _, lead := range []string{"lead1", "lead2"} {
		o.meet(lead)
		o.plan(lead)
	}
	o.sender(nil)
	o.wantSettled("lead1", ambiguous, "no_answer")
	o.wantSettled("lead2", ambiguous, "no_answer")
	for range 2 { // the record may be read again
		o.publish(bus.Subject(bus.Campaign, "lead1", bus.KindState), encode(t, &ledgerv1.Record{Events: [][]byte{
			encode(t, &campaignv1.Event{Fact: &campaignv1.Event_AmbiguityEnded{AmbiguityEnded: &campaignv1.AmbiguityEnded{TouchId: "lead1-t1"}}}),
			encode(t, &campaignv1.Event{Fact: &campaignv1.Event_AmbiguityEnded{AmbiguityEnded: &campaignv1.AmbiguityEnded{TouchId: "lead1-t7"}}}),
		}}))
	}
	ledgertest.Eventually(t, "the settled touch is off the list", func() bool {
		parked, err := o.bus.ListParked(t.Context())
		return err == nil && len(parked) == 1 && parked[0].GetLeadId() == "lead2"
	})
	if mine, err := o.bus.ListParkedOf(t.Context(), "campaign", "lead2"); err != nil || len(mine) != 1 {
		t.Errorf("of lead2 %v, error %v", mine, err)
	}
}

func TestAClaimWhoseSenderVanishedIsAmbiguous(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	o.meet("lead1")
	claim := &campaignv1.Claim{TouchId: "lead1-t1", Sender: "a process that died", At: timestamppb.Now(), Plan: 1}
	o.publish(bus.Subject(bus.Campaign, "lead1", bus.KindClaim, "lead1-t1"), encode(t, claim))
	o.plan("lead1")
	o.sender(func(_ *sender.Options, d *sender.Deps) {
		d.Now = func() time.Time { return time.Now().Add(time.Minute) }
	})
	o.wantSettled("lead1", ambiguous, "sender_vanished")
	if n := len(o.sink.took()); n != 0 {
		t.Errorf("%d mails", n)
	}
}

// The mail may be out: a reader who unsubscribed since does not make it unsent.
func TestAGateSaysNothingAboutATouchWhoseSenderVanished(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	o.meet("lead1")
	o.people["lead1"].Suppression = leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED
	claim := &campaignv1.Claim{TouchId: "lead1-t1", Sender: "a process that is gone", At: timestamppb.Now(), Plan: 1}
	o.publish(bus.Subject(bus.Campaign, "lead1", bus.KindClaim, "lead1-t1"), encode(t, claim))
	o.plan("lead1")
	o.sender(func(_ *sender.Options, d *sender.Deps) {
		d.Now = func() time.Time { return time.Now().Add(time.Minute) }
	})
	o.wantSettled("lead1", ambiguous, "sender_vanished")
}

func TestAYoungClaimOfAnotherSenderIsLeftAlone(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	o.meet("lead1")
	claim := &campaignv1.Claim{TouchId: "lead1-t1", Sender: "a process that lives", At: timestamppb.Now(), Plan: 1}
	o.publish(bus.Subject(bus.Campaign, "lead1", bus.KindClaim, "lead1-t1"), encode(t, claim))
	o.plan("lead1")
	stop := o.sender(nil)
	o.meet("lead2")
	o.plan("lead2")
	o.wantSettled("lead2", sent, "accepted")
	stop()
	if got := o.outcomes("lead1"); len(got) != 0 {
		t.Errorf("outcomes %v", got)
	}
}

func TestWhoeverUnsubscribesAfterTheClaimGetsNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	o.meet("lead1")
	o.onLook = func(n int) {
		if n == 2 {
			o.people["lead1"].Suppression = leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED
		}
	}
	o.plan("lead1")
	o.sender(nil)
	o.wantSettled("lead1", skipped, "suppressed")
	if n := len(o.sink.took()); n != 0 {
		t.Errorf("%d mails", n)
	}
	if _, err := o.bus.LastMsg(t.Context(), bus.Campaign, bus.Subject(bus.Campaign, "lead1", bus.KindClaim, "lead1-t1")); err != nil {
		t.Errorf("the claim is not there: %v", err)
	}
}

func TestGatesSkipWithoutAClaim(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	o.meet("lead1")
	o.people["lead1"].Consents = nil
	o.plan("lead1")
	o.sender(nil)
	o.wantSettled("lead1", skipped, "no_consent")
	if _, err := o.bus.LastMsg(t.Context(), bus.Campaign, bus.Subject(bus.Campaign, "lead1", bus.KindClaim, "lead1-t1")); err == nil {
		t.Error("a touch that is not sent was claimed")
	}
}

func TestNothingIsClaimedWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.addr = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	o.meet("lead1")
	o.plan("lead1")
	o.sender(nil)
	ledgertest.Eventually(t, "the sender looked", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.looks > 0
	})
	if _, err := o.bus.LastMsg(t.Context(), bus.Campaign, bus.Subject(bus.Campaign, "lead1", bus.KindClaim, "lead1-t1")); err == nil {
		t.Error("claimed without a server")
	}
	if l, err = net.Listen("tcp", o.addr); err != nil {
		t.Fatal(err)
	}
	o.sink = &sink{mails: map[string][]string{}, next: always(fine), addr: o.addr}
	o.sink.serve(t, l)
	o.wantSettled("lead1", sent, "accepted")
}

func TestACappedTouchIsDeferredWithoutAClaim(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	o.meet("lead1")
	o.plan("lead1")
	before := timestamppb.New(time.Now().Add(-time.Minute))
	o.mu.Lock()
	o.states["lead1"].Sends = []*timestamppb.Timestamp{before}
	o.mu.Unlock()
	o.sender(nil)
	ledgertest.Eventually(t, "the touch is deferred", func() bool { return len(o.outcomes("lead1")) == 1 })
	got := o.outcomes("lead1")[0]
	if got.GetStatus() != deferred || got.GetReason() != "frequency_cap" || !got.GetRetryAt().AsTime().Equal(before.AsTime().Add(time.Hour)) {
		t.Errorf("outcome %v", got)
	}
	if _, err := o.bus.LastMsg(t.Context(), bus.Campaign, bus.Subject(bus.Campaign, "lead1", bus.KindClaim, "lead1-t1")); err == nil {
		t.Error("a touch that is not sent was claimed")
	}
}

func TestASentMailIsToldWhenTheLogComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv, err := engines.StartNATS(t.Context(), engines.NATSOptions{Dir: dir, Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	log := bustest.Connect(t, srv)
	port := srv.Addr().(*net.TCPAddr).Port
	var once sync.Once
	gone := make(chan struct{})
	o := newOfficeOn(t, log, func(string) fault {
		once.Do(func() { engines.StopNATS(srv); close(gone) })
		return fine
	})
	o.meet("lead1")
	o.plan("lead1")
	o.sender(nil)
	<-gone
	ledgertest.Eventually(t, "the mail is with the server", func() bool { return o.sink.took()[messageID("lead1")] == 1 })
	again, err := engines.StartNATS(t.Context(), engines.NATSOptions{Dir: dir, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engines.StopNATS(again) })
	ledgertest.Eventually(t, "the log is back", log.NC.IsConnected)
	o.wantSettled("lead1", sent, "accepted")
	if n := o.sink.took()[messageID("lead1")]; n != 1 {
		t.Errorf("%d mails", n)
	}
}

// TestNoMailTwiceWhateverTheServerDoes lets many touches meet every fault in
// random order, planned again whenever they are put off, some of them by both
// queues at once, by senders that are stopped and started: each mail is taken at most once, and what is called sent was taken.
func TestNoMailTwiceWhateverTheServerDoes(t *testing.T) {
	t.Parallel()
	faults := []fault{fine, fine, greyReader, hangUpEarly, refuseMail, busyMail, hangUpLate, hangUpNone, refuseReader}
	o := newOffice(t, func(string) fault { return faults[rand.IntN(len(faults))] })
	const leads = 80
	for i := range leads {
		o.meet(fmt.Sprintf("lead%d", i))
		if i%3 != 0 {
			o.plan(fmt.Sprintf("lead%d", i))
		}
		if i%3 != 1 {
			o.planUrgent(fmt.Sprintf("lead%d", i))
		}
	}
	o.sender(nil)
	stop := o.sender(nil)
	seen := map[string]int{}
	ledgertest.Eventually(t, "all touches are settled", func() bool {
		open := 0
		for i := range leads {
			lead := fmt.Sprintf("lead%d", i)
			if o.settled(lead) != nil {
				continue
			}
			open++
			if n := len(o.outcomes(lead)); n > seen[lead] {
				seen[lead] = n
				o.planAs(lead, (i+n)%2 == 0)
			}
		}
		if open < leads/2 {
			stop()
		}
		return open == 0
	})
	for i := range leads {
		lead := fmt.Sprintf("lead%d", i)
		n, status := o.sink.took()[messageID(lead)], o.settled(lead).GetStatus()
		if n > 1 || status == sent && n != 1 || status == failed && n != 0 {
			t.Errorf("%s: %d mails, outcome %v", lead, n, status)
		}
	}
}
