package box

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nurturehq/nurture/pkg/bus"
)

// forget empties the mailboxes of leads that were erased, until ctx ends: what
// every system outside does that is told of it on OUTBOUND.
func (b *Box) forget(ctx context.Context) error {
	cons, err := b.Bus.JS.OrderedConsumer(ctx, bus.Outbound, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{bus.OutboundSubject("lead.erased")}, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil {
		return fmt.Errorf("follow erasures: %w", err)
	}
	it, err := cons.Messages()
	if err != nil {
		return fmt.Errorf("follow erasures: %w", err)
	}
	defer context.AfterFunc(ctx, it.Stop)()
	for {
		msg, err := it.Next()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return fmt.Errorf("follow erasures: %w", err)
		case err != nil:
			continue // the consumer recovers by itself
		}
		var event struct {
			Data struct {
				LeadIDs []string `json:"leadIds"`
			} `json:"data"`
		}
		if err := json.Unmarshal(msg.Data(), &event); err != nil {
			b.opts.Log.Warn("read an erasure", "error", err)
			continue
		}
		if n := b.Inbox.Forget(event.Data.LeadIDs); n > 0 {
			b.opts.Log.Info("mails of an erased lead removed from the inbox", "mails", n)
		}
	}
}
