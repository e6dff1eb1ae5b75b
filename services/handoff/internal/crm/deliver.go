package crm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
	"github.com/nurturehq/nurture/services/handoff/internal/dossier"
)

const (
	durable = "handoff-deliverer"
	// grace is how long an attempt under way may go on after a shutdown began.
	grace = 5 * time.Second
	// againIn is the pause before a record is worked on again when the log could
	// not take the outcome.
	againIn = time.Second
)

// Options are what a deliverer works with.
type Options struct {
	Bus *bus.Bus
	// Endpoint is the CRM; nil publishes on OUTBOUND only.
	Endpoint *Endpoint
	// Collect asks for the evidence, within a time of its own.
	Collect func(ctx context.Context, h *handoffv1.Handoff) dossier.Parts
	// Settle folds an outcome and returns when its record is durable.
	Settle func(ctx context.Context, lead string, o *handoffv1.DeliveryOutcome) error
	// Settled reports whether the outcome of an attempt was folded.
	Settled func(ctx context.Context, lead string, in *handoffv1.DeliveryIntended) (bool, error)
	Log     *slog.Logger
	Now     func() time.Time
	// Workers is how many attempts may run at once in this process.
	Workers int
}

// waitingPer is how many records are at hand per attempt that may run: outcomes
// share commits, and whoever waits for one holds up no attempt.
const waitingPer = 16

// Deliverer works on the delivery intents in handoff records. It may attempt
// an intent twice (a crash between the answer and the durable outcome), always
// under the same webhook-id: receivers ignore an id they know.
type Deliverer struct {
	Options
	meters meters
	// desks are as many as attempts may run at once.
	desks   chan struct{}
	tell    *bus.Scribe
	verdict verdict
	turns   turns
}

// NewDeliverer makes a deliverer.
func NewDeliverer(o Options) *Deliverer {
	return &Deliverer{
		Options: o, meters: newMeters(), desks: make(chan struct{}, o.Workers),
		tell: bus.NewScribe(bus.ScribeOptions{Bus: o.Bus, Patient: true, Now: o.Now}),
	}
}

// Run works until ctx ends and the attempts under way are over.
func (d *Deliverer) Run(ctx context.Context) error {
	wait := grace + 40*time.Second
	if d.Endpoint != nil {
		wait += d.Endpoint.timeout
	}
	opts := bus.WorkOptions{
		Stream: bus.Handoff, Durable: durable, Kinds: []string{bus.KindState},
		Batch: 1, Workers: waitingPer * d.Workers, AckWait: wait,
	}
	telling, stop := context.WithCancel(context.WithoutCancel(ctx))
	var told sync.WaitGroup
	told.Go(func() { d.tell.Run(telling) })
	defer told.Wait()
	defer stop()
	return d.Bus.Work(ctx, opts, func(ctx context.Context, msgs []bus.Msg) {
		ctx, cancel := lingering(ctx)
		defer cancel()
		for _, m := range msgs {
			d.finish(m, d.work(bus.Extract(ctx, m.Header), m))
		}
	})
}

// lingering outlives its parent by the grace.
func lingering(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() { time.AfterFunc(grace, cancel) })
	return ctx, func() { stop(); cancel() }
}

func (d *Deliverer) finish(m bus.Msg, err error) {
	if err != nil {
		d.Log.Warn("deliver handoff", "lead_id", m.Lead, "seq", m.Seq, "attempt", m.Attempt, "error", err)
		if err := m.Retry(againIn); err != nil {
			d.Log.Warn("give back handoff record", "lead_id", m.Lead, "seq", m.Seq, "error", err)
		}
		return
	}
	if err := m.Ack(); err != nil {
		d.Log.Warn("acknowledge handoff record", "lead_id", m.Lead, "seq", m.Seq, "error", err)
	}
}

// work does what one record asks for: attempts of deliveries, and parking of
// those that were given up.
func (d *Deliverer) work(ctx context.Context, m bus.Msg) error {
	state, events, err := decode(m.Data)
	if err != nil {
		return d.park(ctx, m, &ledgerv1.Parked{Subject: m.Subject, Data: m.Data, Reason: bus.ReasonUndecodable, Error: err.Error()})
	}
	for _, e := range events {
		d.meters.event(ctx, e)
		if in := e.GetDeliveryIntended(); in != nil {
			if err := d.deliver(ctx, m, state, in); err != nil {
				return err
			}
		}
		if del := e.GetDeliverySettled().GetDelivery(); del.GetStatus() == handoffv1.DeliveryStatus_DELIVERY_STATUS_PARKED {
			d.Log.Warn("handoff delivery was given up", "lead_id", m.Lead, "delivery_id", del.GetId(), "reason", del.GetReason())
			if err := d.parkDelivery(ctx, m, del); err != nil {
				return err
			}
		}
	}
	return nil
}

func decode(raw []byte) (*handoffv1.State, []*handoffv1.Event, error) {
	rec, state := &ledgerv1.Record{}, &handoffv1.State{}
	if err := proto.Unmarshal(raw, rec); err != nil {
		return nil, nil, fmt.Errorf("decode handoff record: %w", err)
	}
	if err := proto.Unmarshal(rec.GetState(), state); err != nil {
		return nil, nil, fmt.Errorf("decode handoff state: %w", err)
	}
	events := make([]*handoffv1.Event, len(rec.GetEvents()))
	for i, raw := range rec.GetEvents() {
		events[i] = &handoffv1.Event{}
		if err := proto.Unmarshal(raw, events[i]); err != nil {
			return nil, nil, fmt.Errorf("decode handoff event: %w", err)
		}
	}
	return state, events, nil
}

// deliver makes one attempt and has its outcome folded. An error means that the
// outcome is not durable and the record must be worked on again.
func (d *Deliverer) deliver(ctx context.Context, m bus.Msg, state *handoffv1.State, in *handoffv1.DeliveryIntended) error {
	outcome, err := d.inTurn(ctx, m, state, in)
	if err != nil || outcome == nil {
		return err
	}
	return d.Settle(ctx, m.Lead, outcome)
}

// inTurn makes the attempt when no other one of the lead is under way: who is told
// to forget somebody must not be told about them after that. There is no outcome
// when the attempt is not wanted any more.
func (d *Deliverer) inTurn(ctx context.Context, m bus.Msg, state *handoffv1.State, in *handoffv1.DeliveryIntended) (*handoffv1.DeliveryOutcome, error) {
	forgets := in.GetDelivery().GetType() == desk.TypeErased
	forgotten, end := d.turns.take(m.Lead, forgets)
	defer end()
	if forgotten && !forgets { // of its deliveries the lead's state has only that one left
		return nil, nil
	}
	if m.Attempt > 1 {
		if done, err := d.Settled(ctx, m.Lead, in); done || err != nil {
			return nil, err
		}
	}
	return d.attempt(ctx, desk.StayOf(state, in.GetDelivery().GetId()), in)
}

func (d *Deliverer) exists(ctx context.Context, subject string) (bool, error) {
	_, err := d.Bus.LastMsg(ctx, bus.Handoff, subject)
	if errors.Is(err, bus.ErrNoMessage) {
		return false, nil
	}
	return err == nil, err
}

// attempt makes the attempt, when its turn has come.
func (d *Deliverer) attempt(ctx context.Context, h *handoffv1.Handoff, in *handoffv1.DeliveryIntended) (*handoffv1.DeliveryOutcome, error) {
	del := in.GetDelivery()
	ctx, span := tracer().Start(ctx, "deliver "+del.GetType(), trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	told := make(chan error, 1)
	outcome, err := d.atDesk(ctx, h, in, told)
	if err != nil {
		return nil, err
	}
	if err := <-told; err != nil {
		return nil, err
	}
	if ctx.Err() != nil && !outcome.GetDelivered() {
		return nil, fmt.Errorf("shutting down: %w", ctx.Err())
	}
	outcome.DeliveryId, outcome.Attempt = del.GetId(), in.GetAttempt()
	if outcome.GetHttpStatus() == 410 {
		return outcome, d.disable(ctx)
	}
	return outcome, nil
}

// atDesk assembles the event and sends it: to the CRM, and the first time to
// whoever listens on OUTBOUND. told gets the result of the latter; nobody waits
// for it at the desk.
func (d *Deliverer) atDesk(ctx context.Context, h *handoffv1.Handoff, in *handoffv1.DeliveryIntended, told chan<- error) (*handoffv1.DeliveryOutcome, error) {
	select {
	case d.desks <- struct{}{}:
		defer func() { <-d.desks }()
	case <-ctx.Done():
		return nil, fmt.Errorf("shutting down: %w", ctx.Err())
	}
	began := d.Now()
	parts := dossier.Parts{Handoff: h}
	disabled := false
	ask, askCtx := errgroup.WithContext(ctx)
	if hasDossier(in.GetDelivery()) {
		ask.Go(func() error { parts = d.Collect(askCtx, h); return nil })
	}
	ask.Go(func() (err error) { disabled, err = d.isDisabled(askCtx); return err })
	if err := ask.Wait(); err != nil {
		return nil, err
	}
	pack := &handoffv1.Dossier{LeadId: h.GetLeadId()}
	switch {
	case hasDossier(in.GetDelivery()):
		pack = dossier.Assemble(parts)
	case in.GetDelivery().GetType() != desk.TypeErased:
		pack.Handoff = dossier.Bare(h) // the CRM, which wrote the text, has it
	}
	body, err := d.body(ctx, in, pack)
	if err != nil {
		told <- nil
		return d.refuse(reasonTooLarge, err.Error()), nil
	}
	go func() { told <- d.publish(ctx, in, pack) }()
	outcome := d.refuse(reasonDisabled, "the endpoint answered 410 Gone before; mend it, change the endpoint's generation, then redeliver")
	if !disabled {
		outcome = d.post(ctx, in.GetDelivery().GetId(), body)
	}
	d.meters.attempt(ctx, in.GetDelivery(), outcome, d.Now().Sub(began))
	return outcome, nil
}

// hasDossier reports whether a delivery carries the evidence: one that only says
// what became of a lead's id does not.
func hasDossier(del *handoffv1.Delivery) bool {
	switch del.GetType() {
	case desk.TypeErased, desk.TypeMerged, desk.TypeUnmerged:
		return false
	}
	return true
}

func (d *Deliverer) refuse(reason, why string) *handoffv1.DeliveryOutcome {
	return &handoffv1.DeliveryOutcome{Permanent: true, Reason: reason, Error: why, At: timestamppb.New(d.Now())}
}

func (d *Deliverer) post(ctx context.Context, id string, body []byte) *handoffv1.DeliveryOutcome {
	if d.Endpoint == nil {
		return &handoffv1.DeliveryOutcome{Delivered: true, Reason: reasonDelivered, At: timestamppb.New(d.Now())}
	}
	answer := d.Endpoint.Post(ctx, id, body)
	return judge(answer, d.Now())
}

func (d *Deliverer) body(ctx context.Context, in *handoffv1.DeliveryIntended, pack *handoffv1.Dossier) ([]byte, error) {
	del := in.GetDelivery()
	data, err := dossier.JSON(pack, MaxPayload-overhead)
	if err != nil {
		return nil, err
	}
	e := Event{ID: del.GetId(), Type: del.GetType(), Subject: pack.GetLeadId(), Time: d.Now(), Data: data}
	h := nats.Header{}
	bus.Inject(ctx, h)
	if v := h["traceparent"]; len(v) > 0 {
		e.TraceParent = v[0]
	}
	return e.Encode()
}

// publish tells the world inside: the same event, once per delivery, without the
// person. A stream keeps what it is told, in the clear, where an erasure would have
// to find it; whoever may know more asks for the dossier.
func (d *Deliverer) publish(ctx context.Context, in *handoffv1.DeliveryIntended, pack *handoffv1.Dossier) error {
	if in.GetAttempt() > 1 || in.GetDelivery().GetType() == desk.TypeErased { // ingest tells that one
		return nil
	}
	body, err := d.body(ctx, in, dossier.Anonymous(pack))
	if err != nil {
		return err
	}
	msg := &nats.Msg{Subject: bus.OutboundSubject(OutboundKind(in.GetDelivery().GetType())), Data: body, Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, in.GetDelivery().GetId())
	msg.Header.Set("Content-Type", ContentType)
	bus.Inject(ctx, msg.Header)
	return d.tell.Put(ctx, msg)
}
