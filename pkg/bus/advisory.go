package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// advisory is what the server says when it gives up on delivering a message.
type advisory struct {
	Type       string `json:"type"`
	Stream     string `json:"stream"`
	Consumer   string `json:"consumer"`
	StreamSeq  uint64 `json:"stream_seq"`
	Deliveries uint32 `json:"deliveries"`
}

// WatchAdvisories is the net under all consumers: a message that the server
// stopped delivering without any service parking it is parked here. Runs until
// ctx ends; replicas share the work.
func (b *Bus) WatchAdvisories(ctx context.Context) error {
	opts := WorkOptions{Stream: Advisory, Durable: "advisories", Filters: []string{"$JS.EVENT.ADVISORY.CONSUMER.>"}, Batch: 16}
	return b.Work(ctx, opts, func(ctx context.Context, msgs []Msg) {
		for _, m := range msgs {
			if err := b.parkAdvised(ctx, m); err != nil {
				b.log.Warn("park advised message", "error", err)
				_ = m.Retry(5 * time.Second) // redelivered by AckWait anyway
				continue
			}
			_ = m.Ack() // a lost acknowledgement parks into the same entry again
		}
	})
}

func (b *Bus) parkAdvised(ctx context.Context, m Msg) error {
	var a advisory
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return fmt.Errorf("decode advisory %d: %w", m.Seq, err)
	}
	s, err := b.JS.Stream(ctx, a.Stream)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", a.Stream, Classify(err))
	}
	raw, err := s.GetMsg(ctx, a.StreamSeq)
	if isAny(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s/%d: %w", a.Stream, a.StreamSeq, Classify(err))
	}
	lead, _, _, _ := Split(raw.Subject)
	return b.Park(ctx, &ledgerv1.Parked{
		Service: serviceOf(a.Consumer), LeadId: lead, Stream: a.Stream, Seq: a.StreamSeq, Subject: raw.Subject,
		Headers: FlatHeader(raw.Header), Data: raw.Data, Reason: ReasonAdvisory,
		Error: a.Type, Attempts: a.Deliveries, MessageTime: timestamppb.New(raw.Time),
	})
}

// LaneMark is part of the name of every consumer that feeds a lane:
// <service>-lane-<bucket>.
const LaneMark = "-lane-"

// serviceOf is the service whose lane a consumer feeds, or the consumer's own
// name for any other.
func serviceOf(consumer string) string {
	service, _, _ := strings.Cut(consumer, LaneMark)
	return service
}

// FlatHeader keeps the first value of each header, for a parked message.
func FlatHeader(h nats.Header) map[string]string {
	flat := make(map[string]string, len(h))
	for k, v := range h {
		if len(v) > 0 {
			flat[k] = v[0]
		}
	}
	return flat
}
