package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// Sizes of requests to the log. The server takes at most 1000 messages in a
// batch and 1024 subjects in a read. Above 64 a batch wins on every disk.
const (
	maxPipelined = 64
	maxBatch     = 1000
	maxRead      = 1000
	// writers is how many batches of one group are on their way at once.
	writers = 2
)

// Subject is where the claim of a key lives.
func Subject(k identity.Key) string { return bus.IdentitySubject(k.Kind.String(), k.Text()) }

// claimLog reads and writes claims in the log.
type claimLog struct {
	bus  *bus.Bus
	now  func() time.Time
	pace *bus.Pace
}

// read adds the claims of the keys to into; keys nobody has are left out.
func (l claimLog) read(ctx context.Context, keys []identity.Key, into map[identity.Key]identity.Entry) error {
	for len(keys) > 0 {
		n := min(len(keys), maxRead)
		if err := l.readPart(ctx, keys[:n], into); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func (l claimLog) readPart(ctx context.Context, keys []identity.Key, into map[identity.Key]identity.Entry) error {
	subjects := make([]string, len(keys))
	bySubject := make(map[string]identity.Key, len(keys))
	for i, k := range keys {
		subjects[i] = Subject(k)
		bySubject[subjects[i]] = k
	}
	msgs, err := l.bus.LastMsgs(ctx, bus.Leads, subjects)
	if err != nil {
		return fmt.Errorf("read identities: %w", err)
	}
	for subject, msg := range msgs {
		claim := &ingestv1.Claim{}
		if err := proto.Unmarshal(msg.Data, claim); err != nil {
			return fmt.Errorf("decode identity %d: %w", msg.Sequence, err)
		}
		into[bySubject[subject]] = identity.Entry{Lead: strings.Clone(claim.GetLeadId()), Origin: strings.Clone(claim.GetOrigin()), Seq: msg.Sequence}
	}
	return nil
}

// write is one claim to be written on top of the claim seq; 0: on none.
type write struct {
	key identity.Key
	to  string
	// origin is the lead it belongs to within to.
	origin string
	seq    uint64
	// stored is the sequence it got; 0 when somebody else was faster.
	stored uint64
	// of is the question it is for.
	of *question
}

func (w write) entry() identity.Entry {
	return identity.Entry{Lead: w.to, Origin: w.origin, Seq: w.stored}
}

// post is one message on its way to the log, and what to do when it is stored.
type post struct {
	msg    *nats.Msg
	stored func(seq uint64)
}

// write stores the claims, durably, and the messages beside them in the same
// commits. Those claims that somebody else was faster with come back with stored
// 0. With pipelined it never uses an atomic batch, in which one conflict refuses
// all.
func (l claimLog) write(ctx context.Context, writes []write, beside []post, pipelined bool) error {
	posts := make([]post, 0, len(writes)+len(beside))
	for i, w := range writes {
		msg, err := w.message()
		if err != nil {
			return err
		}
		posts = append(posts, post{msg, func(seq uint64) { writes[i].stored = seq }})
	}
	var all errgroup.Group
	all.SetLimit(writers)
	for part := range slices.Chunk(append(posts, beside...), maxBatch) {
		all.Go(func() error {
			if err := l.writePart(ctx, part, pipelined || !l.pace.Batches(len(part))); err != nil {
				return fmt.Errorf("claim identities: %w", err)
			}
			return nil
		})
	}
	return all.Wait()
}

func (l claimLog) writePart(ctx context.Context, posts []post, pipelined bool) error {
	if !pipelined {
		return l.batch(ctx, posts)
	}
	begin := l.now()
	err := l.pipeline(ctx, posts)
	l.pace.Piped(len(posts), l.now().Sub(begin))
	return err
}

func (l claimLog) pipeline(ctx context.Context, posts []post) error {
	acks := make([]jetstream.PubAckFuture, len(posts))
	for i, p := range posts {
		var err error
		if acks[i], err = l.bus.JS.PublishMsgAsync(p.msg); err != nil {
			return bus.Classify(err)
		}
	}
	var failed error
	for i, ack := range acks {
		select {
		case got := <-ack.Ok():
			posts[i].stored(got.Sequence)
		case err := <-ack.Err():
			if err = bus.Classify(err); !errors.Is(err, bus.ErrConflict) {
				failed = err
			}
		case <-ctx.Done():
			return bus.Classify(ctx.Err())
		}
	}
	return failed
}

func (l claimLog) batch(ctx context.Context, posts []post) error {
	msgs := make([]*nats.Msg, len(posts))
	for i, p := range posts {
		msgs[i] = p.msg
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, l.bus.JS, msgs, jetstreamext.BatchFlowControl{AckFirst: false})
	if err = bus.Classify(err); errors.Is(err, bus.ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	for i, p := range posts {
		p.stored(ack.Sequence - uint64(len(posts)-1-i)) //nolint:gosec // i counts a batch
	}
	return nil
}

func (w write) message() (*nats.Msg, error) {
	data, err := proto.Marshal(&ingestv1.Claim{LeadId: w.to, Origin: w.origin})
	if err != nil {
		return nil, fmt.Errorf("encode claim: %w", err)
	}
	return bus.ExpectLast(&nats.Msg{Subject: Subject(w.key), Data: data}, w.seq), nil
}
