package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// RejectSubject is where what a source sent and nobody took waits for a person.
// source may be "*" for all.
func RejectSubject(source string) string { return "parked.ingest.source." + source }

// ParkReject keeps what a source sent and nobody took, until a person decides or
// WipeRejects finds that its time is over. What has the same id within two
// minutes is one entry. Nothing of it is logged: it is a person's data.
func (b *Bus) ParkReject(ctx context.Context, p *ledgerv1.Parked, id string) error {
	if p.GetParkedAt() == nil {
		p.ParkedAt = timestamppb.Now()
	}
	data, err := proto.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode reject: %w", err)
	}
	msg := &nats.Msg{Subject: RejectSubject(p.GetSource()), Data: data, Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, "reject-"+id)
	Inject(ctx, msg.Header)
	if _, err := b.Publish(ctx, msg); err != nil {
		return fmt.Errorf("keep reject of %s: %w", p.GetSource(), err)
	}
	return nil
}

// WipeRejects overwrites and removes the rejects that were kept before a time, the
// oldest first, at most so many, and says how many it were. A limit of the server
// would not do: what it drops stays in the file until its block is rewritten,
// where no erasure finds it.
func (b *Bus) WipeRejects(ctx context.Context, before time.Time, most int) (wiped int, err error) {
	s, err := b.JS.Stream(ctx, Parked)
	if err != nil {
		return 0, fmt.Errorf("open stream %s: %w", Parked, Classify(err))
	}
	for raw, err := range b.Read(ctx, Parked, RejectSubject("*"), 1) {
		if err != nil {
			return wiped, err
		}
		if wiped >= most || !raw.Time.Before(before) {
			break
		}
		if err := WipeMsg(ctx, s, raw.Sequence); err != nil {
			return wiped, err
		}
		wiped++
	}
	return wiped, nil
}

// Rejects reads what sources sent and nobody took, of one source, or all that
// ingest parked (empty), oldest first, beginning after an entry's number, until visit answers
// false.
func (b *Bus) Rejects(ctx context.Context, source string, after uint64, visit func(ParkedMsg) bool) error {
	s, err := b.JS.Stream(ctx, Parked)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", Parked, Classify(err))
	}
	filter := RejectSubject(source)
	if source == "" {
		filter = "parked.ingest.>"
	}
	for seq := after + 1; ; {
		raw, err := s.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(filter))
		if isAny(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read reject %d: %w", seq, Classify(err))
		}
		entry, err := decodeParked(raw)
		if err != nil {
			return err
		}
		if !visit(entry) {
			return nil
		}
		seq = raw.Sequence + 1
	}
}
