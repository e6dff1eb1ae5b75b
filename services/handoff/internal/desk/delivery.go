package desk

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

// Types of what is delivered, as CloudEvents name them.
const (
	TypeAssigned   = "com.nurture.handoff.assigned"
	TypeReassigned = "com.nurture.handoff.reassigned"
	TypeReminded   = "com.nurture.handoff.reminded"
	// TypeErased tells that a lead must be forgotten; it carries the lead's id alone.
	TypeErased = "com.nurture.lead.erased"
	// TypeMerged tells that a lead turned out to be another one, which has the
	// stay now, and TypeUnmerged that it is one of its own again; nothing is to be
	// done by the rep.
	TypeMerged   = "com.nurture.lead.merged"
	TypeUnmerged = "com.nurture.lead.unmerged"
)

const (
	pending   = handoffv1.DeliveryStatus_DELIVERY_STATUS_PENDING
	delivered = handoffv1.DeliveryStatus_DELIVERY_STATUS_DELIVERED
	retrying  = handoffv1.DeliveryStatus_DELIVERY_STATUS_RETRYING
	parked    = handoffv1.DeliveryStatus_DELIVERY_STATUS_PARKED
)

func unsettled(d *handoffv1.Delivery) bool {
	return d.GetStatus() == pending || d.GetStatus() == retrying
}

// deliver intends a new delivery. Its id is the webhook-id over all retries:
// made of the lead, the round and a counter, so it is unique for ever.
func (t *sitting) deliver(kind string) {
	h := t.stay()
	d := &handoffv1.Delivery{
		Id:   fmt.Sprintf("ho_%s_%d_%d", h.GetLeadId(), h.GetRound(), len(h.GetDeliveries())+1),
		Type: kind,
	}
	h.Deliveries = append(h.Deliveries, d)
	t.attempt(d)
}

// attempt intends the next attempt of a delivery.
func (t *sitting) attempt(d *handoffv1.Delivery) {
	d.Attempts++
	d.Status, d.NextAt, d.IntendedAt = pending, nil, t.stamp()
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_DeliveryIntended{DeliveryIntended: &handoffv1.DeliveryIntended{
			Delivery: copyOf(d), Attempt: d.GetAttempts(),
		}}
	})
}

// Outcome folds what became of one attempt. An outcome of an attempt that is
// not the one under way was folded before.
func (d Desk) Outcome(s *handoffv1.State, o *handoffv1.DeliveryOutcome, now time.Time) Decision {
	if !Awaits(s, o.GetDeliveryId(), o.GetAttempt()) {
		return same(SettledBefore)
	}
	t, del := d.sit(s, now), find(s, o.GetDeliveryId())
	del.LastError, del.Reason = o.GetError(), o.GetReason()
	switch {
	case o.GetDelivered():
		del.Status, del.DeliveredAt, del.LastError = delivered, o.GetAt(), ""
		return t.settled(del, Delivered)
	case o.GetPermanent():
		del.Status = parked
		return t.settled(del, DeliveryParked)
	}
	return t.retry(del, o)
}

// Awaits reports whether an attempt of a delivery is under way and its outcome
// not known.
func Awaits(s *handoffv1.State, id string, attempt uint32) bool {
	del := find(s, id)
	return del.GetStatus() == pending && del.GetAttempts() == attempt
}

// retry plans the next attempt, or parks the delivery when there is none left.
// The CRM's own wish (Retry-After) can only delay an attempt, not hasten it.
func (t *sitting) retry(del *handoffv1.Delivery, o *handoffv1.DeliveryOutcome) Decision {
	pause, ok := t.policy.Delivery.Pause(del.GetId(), del.GetAttempts()+1)
	if !ok {
		del.Status, del.Reason = parked, string(Exhausted)
		return t.settled(del, DeliveryParked)
	}
	at := t.now.Add(pause)
	if wish := o.GetRetryAt(); wish != nil && wish.AsTime().After(at) {
		at = wish.AsTime()
	}
	del.Status, del.NextAt = retrying, timestamppb.New(at)
	return t.decide(DeliveryRetries)
}

func (t *sitting) settled(del *handoffv1.Delivery, why Reason) Decision {
	t.emit(func(e *handoffv1.Event) {
		e.Fact = &handoffv1.Event_DeliverySettled{DeliverySettled: &handoffv1.DeliverySettled{Delivery: copyOf(del)}}
	})
	return t.decide(why)
}

// retryDue starts the attempts whose time has come and reports whether any had.
func (t *sitting) retryDue() bool {
	started := false
	for _, h := range stays(t.state) {
		for _, d := range h.GetDeliveries() {
			if d.GetStatus() == retrying && due(d.GetNextAt(), t.now) {
				t.attempt(d)
				started = true
			}
		}
	}
	return started
}

// Redeliver sends parked deliveries again, one by id or all of them. Each gets
// one more attempt; the schedule's bound was used up before.
func (d Desk) Redeliver(s *handoffv1.State, id string, now time.Time) (Decision, error) {
	if id != "" && find(s, id) == nil {
		return Decision{}, fmt.Errorf("%w %q: this lead has %s", ErrUnknownDelivery, id, idsOf(s))
	}
	t := d.sit(s, now)
	for _, h := range stays(s) {
		for _, del := range h.GetDeliveries() {
			if del.GetStatus() == parked && (id == "" || del.GetId() == id) {
				t.attempt(del)
			}
		}
	}
	if len(t.events) == 0 {
		return same(Already), nil
	}
	return t.decide(Redelivering), nil
}

// StayOf is the handoff that a delivery belongs to; the current one when none does.
func StayOf(s *handoffv1.State, id string) *handoffv1.Handoff {
	for _, h := range s.GetHistory() {
		for _, d := range h.GetDeliveries() {
			if d.GetId() == id {
				return h
			}
		}
	}
	return s.GetHandoff()
}

func find(s *handoffv1.State, id string) *handoffv1.Delivery {
	for _, h := range stays(s) {
		for _, d := range h.GetDeliveries() {
			if d.GetId() == id {
				return d
			}
		}
	}
	return nil
}

// copyOf keeps an event's delivery from changing with the state afterwards.
func copyOf(d *handoffv1.Delivery) *handoffv1.Delivery {
	return &handoffv1.Delivery{
		Id: d.GetId(), Type: d.GetType(), Status: d.GetStatus(), Attempts: d.GetAttempts(), NextAt: d.GetNextAt(),
		DeliveredAt: d.GetDeliveredAt(), LastError: d.GetLastError(), IntendedAt: d.GetIntendedAt(), Reason: d.GetReason(),
	}
}

// remindAt is when a rep is asked again.
func (t *sitting) remindAt() time.Time { return t.now.Add(t.policy.SLA.RemindEvery) }
