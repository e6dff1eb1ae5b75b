package sender_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/engines"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/letter"
	"github.com/nurturehq/nurture/services/campaign/internal/link"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
	"github.com/nurturehq/nurture/services/campaign/internal/sender"
	"github.com/nurturehq/nurture/services/campaign/internal/sender/mail"
)

// office is everything around senders: a log, people, programs and a sink. It
// plans touches the way the journey does.
type office struct {
	tb      testing.TB
	bus     *bus.Bus
	sink    *sink
	program *program.Program
	mail    *mail.Writer
	addr    string

	mu      sync.Mutex
	people  map[string]*leadv1.Lead
	states  map[string]*campaignv1.State
	bounces []string
	// looks counts how often people were asked for; onLook may change them.
	looks  int
	onLook func(n int)
}

func newOffice(tb testing.TB, next func(to string) fault) *office {
	tb.Helper()
	return newOfficeOn(tb, bustest.New(tb), next)
}

func newOfficeOn(tb testing.TB, log *bus.Bus, next func(to string) fault) *office {
	tb.Helper()
	o := &office{tb: tb, bus: log, people: map[string]*leadv1.Lead{}, states: map[string]*campaignv1.State{}}
	if next != nil {
		o.sink = newSink(tb, next)
		o.addr = o.sink.addr
	}
	compiler, err := program.NewCompiler()
	if err != nil {
		tb.Fatal(err)
	}
	o.program, err = compiler.Compile(program.Bundle{
		File: "p.yaml", TimeScale: 1,
		YAML:      "name: welcome\nenroll: {when: 'true'}\nfrequency_cap: {max: 1, per: 1h}\nsteps:\n  - id: hello\n    email: {template: t, subject: 'Hello {{ lead.first_name }}'}\n",
		Templates: map[string]letter.Source{"t": {Name: "t", HTML: "<p>Hi {{ lead.first_name }}</p>", Text: "Hi {{ lead.first_name }}"}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	links, err := link.NewSigner([]string{hex.EncodeToString(bytes.Repeat([]byte{1}, 32))})
	if err != nil {
		tb.Fatal(err)
	}
	o.mail = &mail.Writer{Links: links, BaseURL: "http://127.0.0.1:1", Domain: "acme.example", Sender: letter.Sender{Name: "Sam", Email: "sam@acme.example"}}
	return o
}

// sender starts one; it runs until the test ends or stop is called.
func (o *office) sender(change func(*sender.Options, *sender.Deps)) (stop func()) {
	o.tb.Helper()
	opts := sender.Options{Batch: 16, Workers: 2, AttemptTimeout: 3 * time.Second, RetryMin: 10 * time.Millisecond}
	deps := sender.Deps{
		Bus: o.bus, Log: slog.New(slog.DiscardHandler), Now: time.Now, Mail: o.mail,
		Pool:   sender.NewPool(sender.PoolOptions{Addr: o.addr, TLS: sender.TLSNone, Connections: 4, Timeout: 2 * time.Second}),
		States: o.readStates, Leads: o.readLeads,
		Program: func(context.Context, string) (*program.Program, error) { return o.program, nil },
		Bounced: func(_ context.Context, t *campaignv1.Touch, _, reason string) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.bounces = append(o.bounces, t.GetId()+" "+reason)
		},
	}
	if change != nil {
		change(&opts, &deps)
	}
	ctx, cancel := context.WithCancel(o.tb.Context())
	done := make(chan error, 1)
	go func() { done <- sender.New(opts, deps).Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				o.tb.Errorf("sender: %v", err)
			}
		})
	}
	o.tb.Cleanup(stop)
	return stop
}

func (o *office) readStates(_ context.Context, leads []string) (map[string]*campaignv1.State, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := map[string]*campaignv1.State{}
	for _, l := range leads {
		found[l] = proto.CloneOf(o.states[l])
	}
	return found, nil
}

func (o *office) readLeads(_ context.Context, leads []string) (map[string]*leadv1.Lead, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looks++
	if o.onLook != nil {
		o.onLook(o.looks)
	}
	found := map[string]*leadv1.Lead{}
	for _, l := range leads {
		if p := o.people[l]; p != nil {
			found[l] = proto.CloneOf(p)
		}
	}
	return found, nil
}

// meet makes a lead that agreed to mails.
func (o *office) meet(lead string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.people[lead] = &leadv1.Lead{
		LeadId: lead, Profile: &leadv1.Profile{Email: lead + "@example.com", FirstName: "Ann"},
		Consents: []*leadv1.Consent{{Purpose: "marketing_email", Granted: true}},
	}
}

// plan writes the record that plans the lead's touch; again and again if called so.
func (o *office) plan(lead string) string {
	o.tb.Helper()
	touch := &campaignv1.Touch{
		Id: lead + "-t1", EnrollmentId: lead + "-e1", Program: "welcome", Version: o.program.Version, Step: "hello", Template: "t",
		Status: campaignv1.TouchStatus_TOUCH_STATUS_PLANNED, PlannedAt: timestamppb.Now(),
	}
	state := &campaignv1.State{
		LeadId: lead, Stage: leadv1.Stage_STAGE_NURTURING, Touches: []*campaignv1.Touch{touch},
		Enrollments: []*campaignv1.Enrollment{{Id: lead + "-e1", Program: "welcome", Step: "hello", TouchId: touch.Id, Status: campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE}},
	}
	o.mu.Lock()
	o.states[lead] = state
	o.mu.Unlock()
	event := encode(o.tb, &campaignv1.Event{Fact: &campaignv1.Event_TouchPlanned{TouchPlanned: &campaignv1.TouchPlanned{Touch: touch}}})
	rec := &ledgerv1.Record{State: encode(o.tb, state), Events: [][]byte{event}}
	o.publish(bus.Subject(bus.Campaign, lead, bus.KindState), encode(o.tb, rec))
	return touch.Id
}

func (o *office) publish(subject string, data []byte) {
	o.tb.Helper()
	if _, err := o.bus.Publish(o.tb.Context(), &nats.Msg{Subject: subject, Data: data}); err != nil {
		o.tb.Fatal(err)
	}
}

func encode(tb testing.TB, m proto.Message) []byte {
	tb.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// outcomes are all of a lead's, in the order of the log.
func (o *office) outcomes(lead string) []*campaignv1.Outcome {
	o.tb.Helper()
	s, err := o.bus.JS.Stream(o.tb.Context(), bus.Campaign)
	if err != nil {
		o.tb.Fatal(err)
	}
	var all []*campaignv1.Outcome
	filter := bus.Subject(bus.Campaign, lead, bus.KindOutcome, "*")
	info, err := s.Info(o.tb.Context(), jetstream.WithSubjectFilter(filter))
	if err != nil {
		o.tb.Fatal(err)
	}
	for subject := range info.State.Subjects {
		raw, err := s.GetLastMsgForSubject(o.tb.Context(), subject)
		if err != nil {
			o.tb.Fatal(err)
		}
		out := &campaignv1.Outcome{}
		if err := proto.Unmarshal(raw.Data, out); err != nil {
			o.tb.Fatal(err)
		}
		all = append(all, out)
	}
	return all
}

func (o *office) settled(lead string) *campaignv1.Outcome {
	o.tb.Helper()
	for _, out := range o.outcomes(lead) {
		if out.GetStatus() != campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED {
			return out
		}
	}
	return nil
}

func (o *office) wantSettled(lead string, status campaignv1.TouchStatus, reason string) {
	o.tb.Helper()
	ledgertest.Eventually(o.tb, lead+" is settled", func() bool { return o.settled(lead) != nil })
	if got := o.settled(lead); got.GetStatus() != status || got.GetReason() != reason {
		o.tb.Errorf("%s: %v (%s), want %v (%s)", lead, got.GetStatus(), got.GetReason(), status, reason)
	}
}

const (
	sent      = campaignv1.TouchStatus_TOUCH_STATUS_SENT
	failed    = campaignv1.TouchStatus_TOUCH_STATUS_FAILED
	skipped   = campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED
	deferred  = campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED
	ambiguous = campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS
)

func messageID(lead string) string { return "<" + lead + "-t1@acme.example>" }

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
// random order, planned again whenever they are put off, by senders that are
// stopped and started: each mail is taken at most once, and what is called sent was taken.
func TestNoMailTwiceWhateverTheServerDoes(t *testing.T) {
	t.Parallel()
	faults := []fault{fine, fine, greyReader, hangUpEarly, refuseMail, busyMail, hangUpLate, hangUpNone, refuseReader}
	o := newOffice(t, func(string) fault { return faults[rand.IntN(len(faults))] })
	const leads = 80
	for i := range leads {
		o.meet(fmt.Sprintf("lead%d", i))
		o.plan(fmt.Sprintf("lead%d", i))
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
				o.plan(lead)
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
