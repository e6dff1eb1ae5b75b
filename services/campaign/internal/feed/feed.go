// Package feed tells ingest what leads did with our mails: opens, clicks and
// bounces, as messages on inbound.campaign that are durable when it returns.
package feed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// source names us among those who tell ingest things.
const source = "campaign"

// Types of activities.
const (
	Opened  = "email_opened"
	Clicked = "email_clicked"
	Bounced = "email_bounced"
)

// Did is one thing a lead did with a mail.
type Did struct {
	Lead, Type           string
	Touch, Program, Step string
	// URL of a click.
	URL string
	// Hit is what was seen of whoever opened or clicked: ingest judges it.
	Hit *leadv1.Hit
	// Reason of a bounce, e.g. "smtp_550".
	Reason string
	At     time.Time
}

// id makes repeats harmless: one bounce per touch, one open per touch, visitor and
// day, one click per touch, visitor, address and second.
func (d Did) id() string {
	key := d.Type + "\x00" + d.Touch
	if h := d.Hit; h != nil {
		key += fmt.Sprintf("\x00%s\x00%s\x00%t\x00%t", h.GetAgent(), h.GetNetwork(), h.GetHead(), h.GetTrap())
	}
	switch d.Type {
	case Opened:
		key += "\x00" + d.At.UTC().Format(time.DateOnly)
	case Clicked:
		key += "\x00" + d.URL + "\x00" + d.At.UTC().Format(time.DateTime)
	}
	sum := sha256.Sum256([]byte(key))
	return "campaign-" + hex.EncodeToString(sum[:12])
}

// Feed publishes.
type Feed struct{ Bus *bus.Bus }

// Tell publishes and returns when the message is durable.
func (f Feed) Tell(ctx context.Context, d Did) error {
	data, err := proto.Marshal(&ingestv1.Inbound{Command: &ingestv1.Inbound_Track{Track: &ingestv1.TrackActivityRequest{
		Who: &ingestv1.Who{LeadId: d.Lead}, Activity: d.activity(), Suppression: d.forbids(),
	}}})
	if err != nil {
		return fmt.Errorf("encode %s: %w", d.Type, err)
	}
	msg := &nats.Msg{Subject: bus.InboundSubject(source), Data: data, Header: nats.Header{}}
	msg.Header.Set("Content-Type", "application/x-protobuf")
	msg.Header.Set(jetstream.MsgIDHeader, d.id())
	bus.Inject(ctx, msg.Header)
	if _, err := f.Bus.Publish(ctx, msg); err != nil {
		return fmt.Errorf("tell ingest of %s: %w", d.Type, err)
	}
	return nil
}

// forbids: an address that does not exist gets no more mails.
func (d Did) forbids() leadv1.Suppression {
	if d.Type == Bounced {
		return leadv1.Suppression_SUPPRESSION_HARD_BOUNCE
	}
	return leadv1.Suppression_SUPPRESSION_UNSPECIFIED
}

func (d Did) activity() *leadv1.Activity {
	properties := map[string]string{"touch_id": d.Touch, "program": d.Program, "step": d.Step}
	if d.URL != "" {
		properties["url"] = d.URL
	}
	if d.Reason != "" {
		properties["reason"] = d.Reason
	}
	if d.Type == Bounced {
		properties["bounce"] = "hard"
	}
	at := timestamppb.New(d.At)
	return &leadv1.Activity{Id: d.id(), Type: d.Type, Properties: properties, OccurredAt: at, ReceivedAt: at, Source: source, Hit: d.Hit}
}
