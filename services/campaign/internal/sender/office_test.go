package sender_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
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

	mu     sync.Mutex
	people map[string]*leadv1.Lead
	states map[string]*campaignv1.State
	// told are the outcomes of a lead in their order, known the ids of all.
	told    map[string][]*campaignv1.Outcome
	known   map[string]bool
	bounces []string
	// looks counts how often people were asked for, looksAt for each; onLook may
	// change them.
	looks   int
	looksAt map[string]int
	onLook  func(n int)
}

func newOffice(tb testing.TB, next func(to string) fault) *office {
	tb.Helper()
	return newOfficeOn(tb, bustest.New(tb), next)
}

func newOfficeOn(tb testing.TB, log *bus.Bus, next func(to string) fault) *office {
	tb.Helper()
	o := &office{
		tb: tb, bus: log, people: map[string]*leadv1.Lead{}, states: map[string]*campaignv1.State{},
		told: map[string][]*campaignv1.Outcome{}, known: map[string]bool{}, looksAt: map[string]int{},
	}
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

// newSender makes one that does not run yet.
func (o *office) newSender(change func(*sender.Options, *sender.Deps)) *sender.Sender {
	opts := sender.Options{Batch: 16, Workers: 2, AttemptTimeout: 3 * time.Second, RetryMin: 10 * time.Millisecond}
	deps := sender.Deps{
		Bus: o.bus, Log: slog.New(slog.DiscardHandler), Now: time.Now, Mail: o.mail,
		Pool:   sender.NewPool(sender.PoolOptions{Addr: o.addr, TLS: sender.TLSNone, Connections: 4, Timeout: 2 * time.Second}),
		States: o.readStates, Settle: o.settle, Leads: o.readLeads,
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
	return sender.New(opts, deps)
}

// sender starts one; it runs until the test ends or stop is called.
func (o *office) sender(change func(*sender.Options, *sender.Deps)) (stop func()) {
	o.tb.Helper()
	s := o.newSender(change)
	ctx, cancel := context.WithCancel(o.tb.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
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

// settle folds an outcome the way the service does: by the journey, into a record.
func (o *office) settle(ctx context.Context, lead, id string, out *campaignv1.Outcome) (*campaignv1.Touch, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known[id] {
		return sender.TouchOf(o.states[lead], out.GetTouchId()), nil
	}
	book := &program.Book{Review: time.Hour, Version: func(string) *program.Program { return o.program }}
	turn := journey.Begin(book, proto.CloneOf(o.states[lead]), lead, time.Now())
	turn.Settled(out)
	change := turn.End()
	if change.Same {
		o.told[lead] = append(o.told[lead], out)
		return sender.TouchOf(o.states[lead], out.GetTouchId()), nil
	}
	rec := &ledgerv1.Record{State: encode(o.tb, change.State)}
	for _, e := range change.Events {
		rec.Events = append(rec.Events, encode(o.tb, e))
	}
	if _, err := o.bus.Publish(ctx, &nats.Msg{Subject: bus.Subject(bus.Campaign, lead, bus.KindState), Data: encode(o.tb, rec)}); err != nil {
		return nil, err
	}
	o.states[lead], o.known[id] = change.State, true
	o.told[lead] = append(o.told[lead], out)
	return sender.TouchOf(change.State, out.GetTouchId()), nil
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
		o.looksAt[l]++
		if p := o.people[l]; p != nil {
			found[l] = proto.CloneOf(p)
		}
	}
	return found, nil
}

func (o *office) looksFor(lead string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.looksAt[lead]
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

// plan writes the record that plans the lead's touch; again and again if called
// so. Like the journey it leaves a touch alone that is settled for good.
func (o *office) plan(lead string) string {
	o.tb.Helper()
	return o.planAs(lead, false)
}

// planUrgent plans the touch as one that the lead waits for.
func (o *office) planUrgent(lead string) string {
	o.tb.Helper()
	return o.planAs(lead, true)
}

func (o *office) planAs(lead string, urgent bool) string {
	o.tb.Helper()
	touch := &campaignv1.Touch{
		Id: lead + "-t1", EnrollmentId: lead + "-e1", Program: "welcome", Version: o.program.Version, Step: "hello", Template: "t",
		Status: campaignv1.TouchStatus_TOUCH_STATUS_PLANNED, PlannedAt: timestamppb.Now(),
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if old := sender.TouchOf(o.states[lead], touch.Id); old != nil {
		touch.ReturnedClaim = old.ReturnedClaim
		if old.Status != deferred {
			touch.Status = old.Status
		}
	}
	state := &campaignv1.State{
		LeadId: lead, Stage: leadv1.Stage_STAGE_NURTURING, Touches: []*campaignv1.Touch{touch},
		Enrollments: []*campaignv1.Enrollment{{Id: lead + "-e1", Program: "welcome", Step: "hello", TouchId: touch.Id, Status: campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE}},
	}
	o.states[lead] = state
	event := encode(o.tb, &campaignv1.Event{Fact: &campaignv1.Event_TouchPlanned{TouchPlanned: &campaignv1.TouchPlanned{Touch: touch, Urgent: urgent}}})
	rec := encode(o.tb, &ledgerv1.Record{State: encode(o.tb, state), Events: [][]byte{event}})
	if urgent {
		o.publish(bus.Subject(bus.Campaign, lead, bus.KindUrgent), rec)
	}
	o.publish(bus.Subject(bus.Campaign, lead, bus.KindState), rec)
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
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.told[lead])
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
