package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// entomb puts ingest's tombstone on every lead of the person. From then on
// nothing is added to them, and the other services learn of it.
func (e *Eraser) entomb(ctx context.Context, c *ingestv1.Erasure) (result, error) {
	raw, err := proto.Marshal(&ingestv1.Erase{Reason: c.GetReason()})
	if err != nil {
		return result{}, fmt.Errorf("encode command: %w", err)
	}
	for _, lead := range c.GetLeadIds() {
		_, err := e.Ledger.Update(ctx, lead, ledger.Command{ID: "erase/" + lead, Kind: person.KindErase, Data: raw})
		if err != nil {
			return result{}, err
		}
	}
	return result{status: done, note: fmt.Sprintf("%d records replaced by tombstones", len(c.GetLeadIds()))}, nil
}

// confirmed waits until a service has forgotten every lead of the person.
func confirmed(stream, service string) func(*Eraser, context.Context, *ingestv1.Erasure) (result, error) {
	return func(e *Eraser, ctx context.Context, c *ingestv1.Erasure) (result, error) {
		for _, lead := range c.GetLeadIds() {
			seq, err := e.tombstone(ctx, stream, lead)
			if err != nil {
				return result{}, err
			}
			if seq == 0 {
				return result{status: pending, note: "waits for " + service}, nil
			}
		}
		return result{status: done, note: service + " has forgotten"}, nil
	}
}

// tombstone is the sequence of a lead's tombstone in a stream; 0 without one.
func (e *Eraser) tombstone(ctx context.Context, stream, lead string) (uint64, error) {
	on := bus.Subject(stream, lead, bus.KindState)
	last, err := e.Bus.LastMsg(ctx, stream, on)
	switch {
	case errors.Is(err, bus.ErrNoMessage):
		return 0, nil
	case err != nil:
		return 0, err
	case last.Header.Get(bus.HeaderTombstone) != "":
		return last.Sequence, nil
	case stream != bus.Handoff:
		return 0, nil
	}
	// Handoff goes on after its tombstone, until the CRM was told.
	seq := uint64(0)
	for raw, err := range e.Bus.Read(ctx, stream, on, 1) {
		if err != nil {
			return 0, err
		}
		if raw.Header.Get(bus.HeaderTombstone) != "" {
			seq = raw.Sequence
		}
	}
	return seq, nil
}

// destroy destroys the data keys.
func (e *Eraser) destroy(ctx context.Context, c *ingestv1.Erasure) (result, error) {
	for _, lead := range c.GetLeadIds() {
		if err := e.Destroy(ctx, lead); err != nil {
			return result{}, err
		}
	}
	return result{status: done, removed: uint64(len(c.GetLeadIds())), note: "data keys destroyed"}, nil
}

// wiped overwrites what lies before the tombstones in a stream.
func wiped(stream string) func(*Eraser, context.Context, *ingestv1.Erasure) (result, error) {
	return func(e *Eraser, ctx context.Context, c *ingestv1.Erasure) (result, error) {
		r := result{status: done, note: "overwritten on disk"}
		for _, lead := range c.GetLeadIds() {
			n, err := e.wipe(ctx, stream, lead)
			if err != nil {
				return result{}, err
			}
			r.removed += n
		}
		if r.removed == 0 {
			r.status, r.note = nothing, ""
		}
		return r, nil
	}
}

func (e *Eraser) wipe(ctx context.Context, stream, lead string) (uint64, error) {
	seq, err := e.tombstone(ctx, stream, lead)
	if err != nil || seq == 0 {
		return 0, err
	}
	wiped := uint64(0)
	for _, all := range bus.Subjects(stream, lead) {
		n, err := e.Bus.Wipe(ctx, stream, all, seq)
		if err != nil {
			return 0, err
		}
		wiped += n
	}
	return wiped, nil
}

// restore does once more what lies on disk: what a crash brought back.
func (e *Eraser) restore(ctx context.Context, c *ingestv1.Erasure) error {
	if _, err := e.destroy(ctx, c); err != nil {
		return err
	}
	for _, lead := range c.GetLeadIds() {
		for _, stream := range []string{bus.Leads, bus.Scores, bus.Campaign, bus.Handoff} {
			n, err := e.wipe(ctx, stream, lead)
			if err != nil {
				return err
			}
			if n > 0 {
				e.Log.Warn("messages of an erased lead had come back and are overwritten again", "lead_id", lead, "stream", stream, "messages", n)
			}
		}
	}
	return nil
}

// uncache removes what Redis has.
func (e *Eraser) uncache(ctx context.Context, c *ingestv1.Erasure) (result, error) {
	if e.Redis == nil {
		return result{status: nothing}, nil
	}
	removed := uint64(0)
	for _, lead := range c.GetLeadIds() {
		for _, stream := range []string{bus.Leads, bus.Scores, bus.Campaign, bus.Handoff} {
			n, err := e.Redis.Unlink(ctx, ledger.CacheKey(stream, lead)).Result()
			if err != nil {
				return result{status: pending, note: "waits for Redis"}, nil //nolint:nilerr // it is told in the certificate
			}
			removed += uint64(n) //nolint:gosec // a small count
		}
	}
	return result{status: done, removed: removed}, nil
}

// cloudEvent is what the world is told.
type cloudEvent struct {
	SpecVersion     string   `json:"specversion"`
	ID              string   `json:"id"`
	Source          string   `json:"source"`
	Type            string   `json:"type"`
	Subject         string   `json:"subject"`
	Time            string   `json:"time"`
	DataContentType string   `json:"datacontenttype"`
	Data            toForget `json:"data"`
}

type toForget struct {
	LeadID  string   `json:"leadId"`
	LeadIDs []string `json:"leadIds"`
}

// typeErased is the event by which everybody outside is told to forget.
const typeErased = "com.nurture.lead.erased"

// tell publishes a CloudEvent on OUTBOUND. Its id is the same if it comes twice.
func (e *Eraser) tell(ctx context.Context, c *ingestv1.Erasure) (result, error) {
	raw, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: "erased_" + c.GetLeadId(), Source: "/nurture/ingest", Type: typeErased, Subject: c.GetLeadId(),
		Time:            c.GetRequestedAt().AsTime().Format("2006-01-02T15:04:05.000Z07:00"),
		DataContentType: "application/json", Data: toForget{c.GetLeadId(), c.GetLeadIds()},
	})
	if err != nil {
		return result{}, fmt.Errorf("encode event: %w", err)
	}
	msg := &nats.Msg{Subject: bus.OutboundSubject("lead.erased"), Data: raw, Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, "erased_"+c.GetLeadId())
	msg.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	if _, err := e.Bus.Publish(ctx, msg); err != nil {
		return result{}, err
	}
	return result{status: done, note: "published on outbound.lead.erased"}, nil
}

// sales waits until the CRM has taken the news, if it ever had the lead.
func (e *Eraser) sales(ctx context.Context, c *ingestv1.Erasure) (result, error) {
	r := result{status: nothing, note: "the CRM never had this lead"}
	for _, lead := range c.GetLeadIds() {
		last, err := e.Bus.LastMsg(ctx, bus.Handoff, bus.Subject(bus.Handoff, lead, bus.KindState))
		if err != nil {
			return result{}, err
		}
		rec, state := &ledgerv1.Record{}, &handoffv1.State{}
		if err := errors.Join(proto.Unmarshal(last.Data, rec), proto.Unmarshal(rec.GetState(), state)); err != nil {
			return result{}, fmt.Errorf("decode handoff: %w", err)
		}
		for _, d := range state.GetHandoff().GetDeliveries() {
			if d.GetStatus() != handoffv1.DeliveryStatus_DELIVERY_STATUS_DELIVERED {
				return result{status: pending, note: "waits for the CRM"}, nil
			}
			r = result{status: done, note: "the CRM was told to forget"}
		}
	}
	return r, nil
}
