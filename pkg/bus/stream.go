package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// dedupeWindow is how long the server remembers message ids. It is only a
// first filter: what must hold for ever is a claim or part of a state.
const dedupeWindow = 2 * time.Minute

// Declare creates or updates all streams. It is idempotent and safe to call
// from every service at once.
func (b *Bus) Declare(ctx context.Context) error {
	for _, cfg := range streams() {
		if _, err := b.JS.CreateOrUpdateStream(ctx, cfg); err != nil {
			return fmt.Errorf("declare stream %s: %w", cfg.Name, Classify(err))
		}
	}
	return nil
}

// streams is the whole list. Service streams never age out (an idle lead's
// state would vanish) and have no limit per subject (it would delete records
// that a lagging reader has not seen).
func streams() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		stream(Inbound, "inbound.>"),
		stream(Leads, "leads.>"),
		stream(Scores, "scores.>"),
		stream(Campaign, "campaign.>"),
		stream(Handoff, "handoffs.>"),
		stream(Outbound, "outbound.>"),
		stream(Parked, "parked.>"),
		stream(Advisory,
			"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
			"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>"),
	}
}

func stream(name string, subjects ...string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               name,
		Subjects:           subjects,
		Storage:            jetstream.FileStorage,
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardOld, // no limit is set, so nothing is discarded; schedules forbid DiscardNew
		Duplicates:         dedupeWindow,
		AllowDirect:        true,
		AllowAtomicPublish: true,
		AllowMsgSchedules:  true,
		AllowMsgTTL:        true,
	}
}
