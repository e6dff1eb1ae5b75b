package crm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	Log     *slog.Logger
	Now     func() time.Time
	// Workers is how many attempts may run at once in this process.
	Workers int
}

// Deliverer works on the delivery intents in handoff records. It may attempt
// an intent twice (a crash between the answer and the durable outcome), always
// under the same webhook-id: receivers ignore an id they know.
type Deliverer struct {
	Options
	meters meters
}

// NewDeliverer makes a deliverer.
func NewDeliverer(o Options) *Deliverer { return &Deliverer{Options: o, meters: newMeters()} }

// Run works until ctx ends and the attempts under way are over.
func (d *Deliverer) Run(ctx context.Context) error {
	wait := grace + 40*time.Second
	if d.Endpoint != nil {
		wait += d.Endpoint.timeout
	}
	opts := bus.WorkOptions{
		Stream: bus.Handoff, Durable: durable, Kinds: []string{bus.KindState},
		Batch: 1, Workers: d.Workers, AckWait: wait,
	}
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
	rec, state, events, err := decode(m.Data)
	if err != nil {
		return d.park(ctx, m, &ledgerv1.Parked{Subject: m.Subject, Data: m.Data, Reason: bus.ReasonUndecodable, Error: err.Error()})
	}
	var givenUp []*handoffv1.Delivery
	for _, e := range events {
		d.meters.event(ctx, e)
		if in := e.GetDeliveryIntended(); in != nil {
			if err := d.deliver(ctx, m, state, in); err != nil {
				return err
			}
		}
		if del := e.GetDeliverySettled().GetDelivery(); del.GetStatus() == handoffv1.DeliveryStatus_DELIVERY_STATUS_PARKED {
			givenUp = append(givenUp, del)
		}
	}
	if len(givenUp) == 0 {
		return nil
	}
	d.Log.Warn("handoff delivery was given up", "lead_id", m.Lead, "version", rec.GetVersion(), "reason", givenUp[0].GetReason())
	return d.parkDelivery(ctx, m, givenUp)
}

func decode(raw []byte) (*ledgerv1.Record, *handoffv1.State, []*handoffv1.Event, error) {
	rec, state := &ledgerv1.Record{}, &handoffv1.State{}
	if err := proto.Unmarshal(raw, rec); err != nil {
		return nil, nil, nil, fmt.Errorf("decode handoff record: %w", err)
	}
	if err := proto.Unmarshal(rec.GetState(), state); err != nil {
		return nil, nil, nil, fmt.Errorf("decode handoff state: %w", err)
	}
	events := make([]*handoffv1.Event, len(rec.GetEvents()))
	for i, raw := range rec.GetEvents() {
		events[i] = &handoffv1.Event{}
		if err := proto.Unmarshal(raw, events[i]); err != nil {
			return nil, nil, nil, fmt.Errorf("decode handoff event: %w", err)
		}
	}
	return rec, state, events, nil
}

// deliver makes one attempt and stores its outcome. An error means that the
// outcome could not be stored and the record must be worked on again.
func (d *Deliverer) deliver(ctx context.Context, m bus.Msg, state *handoffv1.State, in *handoffv1.DeliveryIntended) error {
	del := in.GetDelivery()
	subject := bus.Subject(bus.Handoff, m.Lead, bus.KindOutcome, fmt.Sprintf("%s-%d", del.GetId(), in.GetAttempt()))
	if m.Attempt > 1 {
		if done, err := d.exists(ctx, subject); done || err != nil {
			return err
		}
	}
	ctx, span := tracer().Start(ctx, "deliver "+del.GetType(), trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	began := d.Now()
	outcome, err := d.attempt(ctx, desk.StayOf(state, del.GetId()), in)
	if err != nil {
		return err
	}
	if ctx.Err() != nil && !outcome.GetDelivered() {
		return fmt.Errorf("shutting down: %w", ctx.Err())
	}
	outcome.DeliveryId, outcome.Attempt = del.GetId(), in.GetAttempt()
	d.meters.attempt(ctx, del, outcome, d.Now().Sub(began))
	return d.store(ctx, subject, outcome)
}

func (d *Deliverer) exists(ctx context.Context, subject string) (bool, error) {
	_, err := d.Bus.LastMsg(ctx, bus.Handoff, subject)
	if errors.Is(err, bus.ErrNoMessage) {
		return false, nil
	}
	return err == nil, err
}

func (d *Deliverer) store(ctx context.Context, subject string, o *handoffv1.DeliveryOutcome) error {
	raw, err := proto.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode outcome: %w", err)
	}
	msg := &nats.Msg{Subject: subject, Data: raw, Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("outcome-%s-%d", o.GetDeliveryId(), o.GetAttempt()))
	bus.Inject(ctx, msg.Header)
	_, err = d.Bus.Publish(ctx, msg)
	return err
}

// attempt assembles the event and sends it: to the CRM, and the first time to
// whoever listens on OUTBOUND.
func (d *Deliverer) attempt(ctx context.Context, h *handoffv1.Handoff, in *handoffv1.DeliveryIntended) (*handoffv1.DeliveryOutcome, error) {
	var parts dossier.Parts
	disabled := false
	ask, askCtx := errgroup.WithContext(ctx)
	ask.Go(func() error { parts = d.Collect(askCtx, h); return nil })
	ask.Go(func() (err error) { disabled, err = d.isDisabled(askCtx); return err })
	if err := ask.Wait(); err != nil {
		return nil, err
	}
	body, err := d.body(ctx, in, parts)
	if err != nil {
		return d.refuse(reasonTooLarge, err.Error()), nil
	}
	outcome := d.refuse(reasonDisabled, "the endpoint answered 410 Gone before; mend it, change the endpoint's generation, then redeliver")
	send, sendCtx := errgroup.WithContext(ctx)
	send.Go(func() error { return d.publish(sendCtx, in, body) })
	if !disabled {
		send.Go(func() error { outcome = d.post(ctx, in.GetDelivery().GetId(), body); return nil })
	}
	if err := send.Wait(); err != nil {
		return nil, err
	}
	if outcome.GetHttpStatus() == 410 {
		return outcome, d.disable(ctx)
	}
	return outcome, nil
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

func (d *Deliverer) body(ctx context.Context, in *handoffv1.DeliveryIntended, parts dossier.Parts) ([]byte, error) {
	data, err := dossier.JSON(dossier.Assemble(parts), MaxPayload-overhead)
	if err != nil {
		return nil, err
	}
	del := in.GetDelivery()
	e := Event{ID: del.GetId(), Type: del.GetType(), Subject: parts.Handoff.GetLeadId(), Time: d.Now(), Data: data}
	h := nats.Header{}
	bus.Inject(ctx, h)
	if v := h["traceparent"]; len(v) > 0 {
		e.TraceParent = v[0]
	}
	return e.Encode()
}

// publish tells the world inside: the same event, once per delivery.
func (d *Deliverer) publish(ctx context.Context, in *handoffv1.DeliveryIntended, body []byte) error {
	if in.GetAttempt() > 1 {
		return nil
	}
	msg := &nats.Msg{Subject: bus.OutboundSubject(OutboundKind(in.GetDelivery().GetType())), Data: body, Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, in.GetDelivery().GetId())
	msg.Header.Set("Content-Type", ContentType)
	bus.Inject(ctx, msg.Header)
	_, err := d.Bus.Publish(ctx, msg)
	return err
}
