package crm

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// KindRedeliver is the kind of a parked delivery: the fold knows it as the
// command of the same name, so that redriving the entry sends it again.
const KindRedeliver = "redeliver"

// disabledSubject is where it is written, once and for all replicas, that an
// endpoint wants no more. Another URL or generation is another subject.
func (d *Deliverer) disabledSubject() string {
	return bus.Subject(bus.Handoff, "endpoint-"+d.Endpoint.Key(), bus.KindClaim, "disabled")
}

// askedFor is how long the log's word that the endpoint is not disabled is
// believed: every attempt would ask else, and wait behind the stream's commits.
const askedFor = time.Second

// verdict is what this process knows of the endpoint.
type verdict struct {
	mu sync.Mutex
	// gone is for ever; enabled was true at that time.
	gone    bool
	enabled time.Time
}

// known gives what needs no question; ok tells whether there is anything.
func (v *verdict) known(now time.Time) (gone, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.gone, v.gone || now.Sub(v.enabled) < askedFor
}

func (v *verdict) learn(gone bool, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gone, v.enabled = v.gone || gone, now
}

func (d *Deliverer) isDisabled(ctx context.Context) (bool, error) {
	if d.Endpoint == nil {
		return false, nil
	}
	now := d.Now()
	if gone, ok := d.verdict.known(now); ok {
		return gone, nil
	}
	gone, err := d.exists(ctx, d.disabledSubject())
	if err == nil {
		d.verdict.learn(gone, now)
	}
	return gone, err
}

func (d *Deliverer) disable(ctx context.Context) error {
	first, err := d.Bus.Claim(ctx, d.disabledSubject(), []byte("410 Gone"))
	if err != nil {
		return fmt.Errorf("disable endpoint: %w", err)
	}
	d.verdict.learn(true, d.Now())
	if first {
		d.Log.Error("the CRM answered 410 Gone: its endpoint is disabled and handoffs are parked; mend it, change the endpoint's generation, then redrive the parked deliveries")
	}
	return nil
}

// parkDelivery puts what was given up where a person finds it: an entry per
// delivery, for one record may give up several. It holds no personal data:
// redriving it assembles the dossier anew.
func (d *Deliverer) parkDelivery(ctx context.Context, m bus.Msg, del *handoffv1.Delivery) error {
	raw, err := proto.Marshal(&handoffv1.RedeliverRequest{LeadId: m.Lead, DeliveryId: del.GetId()})
	if err != nil {
		return fmt.Errorf("encode parked delivery: %w", err)
	}
	return d.park(ctx, m, &ledgerv1.Parked{
		Subject: bus.Subject(bus.Handoff, m.Lead, KindRedeliver, del.GetId()), Data: raw,
		Reason: del.GetReason(), Error: del.GetLastError(), Attempts: del.GetAttempts(), FirstAt: del.GetIntendedAt(),
	})
}

func (d *Deliverer) park(ctx context.Context, m bus.Msg, p *ledgerv1.Parked) error {
	p.Service, p.LeadId, p.Stream, p.Seq = "handoff", m.Lead, m.Stream, m.Seq
	p.Headers, p.MessageTime, p.ParkedAt = bus.FlatHeader(m.Header), timestamppb.New(m.Time), timestamppb.New(d.Now())
	return d.Bus.Park(ctx, p)
}
