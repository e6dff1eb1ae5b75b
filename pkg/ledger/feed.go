package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/nurturehq/nurture/pkg/bus"
)

const (
	// pinnedTTL is how long a reader may be silent before another takes over.
	pinnedTTL = 3 * time.Second
	// pullExpiry renews the pull, and with it the pin, well within pinnedTTL.
	pullExpiry = time.Second
	// ackWait is after how long a delivery without an acknowledgement is made
	// again. A new reader learns of the pin by its first delivery: when the old one
	// died with the last messages in its hands and nothing new comes, this is how
	// long they wait. The reader that has them drops a repeat.
	ackWait = 8 * time.Second
	// maxPending is how many messages of one feed may wait for an acknowledgement.
	maxPending = 20000
	// pinGroup is the only priority group of a lane's consumer.
	pinGroup = "lane"
	// anyBucket stands for all buckets in a subject.
	anyBucket = "*"
	// pinHeader names the current reader on every delivered message.
	pinHeader = "Nats-Pin-Id"
	// resyncAfter bounds the wait for the first message after a reset.
	resyncAfter = 2 * time.Second
)

// feed reads one stream for one lane, strictly in order, through a consumer
// that the server pins to one process at a time.
//
// A new reader must not start where the old one's deliveries ended: what the
// old one did not acknowledge would be delivered again later, behind newer
// messages of the same lead. So whenever the pin is new, or a delivery is
// missing, the feed resets the consumer to its acknowledged floor. From there
// the consumer's own sequence counts 1, 2, 3, ... and proves that the order is whole.
type feed struct {
	log     *slog.Logger
	stream  jetstream.Stream
	name    string
	service string
	durable string
	created uint64
	filters []string
	// patient are the kinds of inputs that may wait for company.
	patient map[string]bool
	now     func() time.Time
	metrics *metrics
	// epoch counts resets; a lane forgets what is pending from earlier ones.
	epoch atomic.Uint64

	pin     string
	syncing bool
	resetAt time.Time
	next    uint64 // expected consumer sequence
	last    uint64 // last stream sequence taken
}

// serve sets what the feed reads: some kinds in one bucket, or in all.
func (f *feed) serve(bucket string, kinds []string, patient map[string]bool) {
	f.patient = patient
	f.durable = f.service + allMark
	if bucket != anyBucket {
		f.durable = f.service + bucketMark + bucket
	}
	for _, kind := range kinds {
		f.filters = append(f.filters, bus.Filter(f.name, bucket, kind))
	}
}

// Names of consumers: <service>-lane-all, <service>-lane-07.
const (
	allMark    = bus.LaneMark + "all"
	bucketMark = bus.LaneMark
)

// open creates the durable consumer, or finds it as it was left.
func (f *feed) open(ctx context.Context) (jetstream.Consumer, error) {
	cfg := jetstream.ConsumerConfig{
		Durable:        f.durable,
		FilterSubjects: f.filters,
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckAllPolicy,
		AckWait:        ackWait,
		MaxDeliver:     -1,
		MaxAckPending:  maxPending,
		PriorityPolicy: jetstream.PriorityPolicyPinned,
		PriorityGroups: []string{pinGroup},
		PinnedTTL:      pinnedTTL,
	}
	start, err := f.startAt(ctx)
	if err != nil {
		return nil, err
	}
	if start > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, start
	}
	cons, err := f.stream.CreateOrUpdateConsumer(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open consumer %s on %s: %w", f.durable, f.name, bus.Classify(err))
	}
	return cons, nil
}

// startAt is where a consumer begins that does not exist yet: where the slowest
// consumer stood that read this bucket before the number of lanes was changed
// between one and many, so that history is not read again; 0 for the beginning.
func (f *feed) startAt(ctx context.Context) (uint64, error) {
	start := uint64(0)
	list := f.stream.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Name == f.durable {
			return info.Config.OptStartSeq, nil
		}
		if !strings.HasPrefix(info.Name, f.service+bucketMark) || f.durable != f.service+allMark && info.Name != f.service+allMark {
			continue
		}
		if next := max(info.AckFloor.Stream+1, info.Config.OptStartSeq); start == 0 || next < start {
			start = next
		}
	}
	if err := list.Err(); err != nil {
		return 0, fmt.Errorf("list consumers of %s: %w", f.name, bus.Classify(err))
	}
	return start, nil
}

// run delivers items to the lane until ctx ends.
func (f *feed) run(ctx context.Context, cons jetstream.Consumer, out chan<- *item, park func(message, error)) error {
	it, err := cons.Messages(jetstream.PullMaxMessages(2000), jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(pullExpiry/2), jetstream.PullPriorityGroup(pinGroup),
		jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return fmt.Errorf("read %s on %s: %w", f.durable, f.name, err)
	}
	defer context.AfterFunc(ctx, it.Stop)()
	defer f.release(ctx)
	for {
		msg, err := it.Next()
		if ctx.Err() != nil || errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil
		}
		if err != nil {
			f.log.Warn("read input stream", "stream", f.name, "error", err)
			if errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, nats.ErrConnectionClosed) {
				return fmt.Errorf("read %s on %s: %w", f.durable, f.name, err)
			}
			sleep(ctx, 100*time.Millisecond)
			continue
		}
		it, err := f.take(ctx, msg, park)
		if err != nil {
			return err
		}
		if it != nil {
			select {
			case out <- it:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// take decides about one delivery: an item for the lane, or nil.
func (f *feed) take(ctx context.Context, msg jetstream.Msg, park func(message, error)) (*item, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read metadata of %s: %w", msg.Subject(), err)
	}
	if !f.inOrder(ctx, msg.Headers().Get(pinHeader), meta) {
		return nil, nil
	}
	f.metrics.waits(ctx, f.name, meta.NumPending)
	s := &slot{feed: f, epoch: f.epoch.Load(), msg: msg}
	m := fromDelivery(msg, meta, f.created)
	it, err := newItem(m)
	if err != nil {
		park(m, err)
		it, s.done = &item{}, true
	}
	it.slot, it.patient = s, f.patient[it.in.Kind]
	return it, nil
}

// inOrder reports whether a delivery continues the order; if it shows that the
// order is broken it makes the consumer start over from its floor.
func (f *feed) inOrder(ctx context.Context, pin string, meta *jetstream.MsgMetadata) bool {
	seq := meta.Sequence
	switch {
	case pin != f.pin:
		f.reset(ctx, "new reader", pin)
		return false
	case f.syncing && seq.Consumer != 1:
		if f.now().Sub(f.resetAt) > resyncAfter {
			f.reset(ctx, "first message missing", pin)
		}
		return false
	case f.syncing:
		f.syncing = false
	case seq.Consumer > f.next:
		f.reset(ctx, "message missing", pin)
		return false
	case seq.Consumer < f.next:
		return false
	}
	f.next = seq.Consumer + 1
	if seq.Stream <= f.last {
		return false // delivered again while it is being worked on
	}
	f.last = seq.Stream
	return true
}

// reset starts over from the acknowledged floor. It tries until it succeeds:
// going on without would lose or reorder inputs.
func (f *feed) reset(ctx context.Context, why, pin string) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		_, err := f.stream.ResetConsumer(ctx, f.durable)
		if err == nil || ctx.Err() != nil {
			break
		}
		f.log.Warn("reset consumer", "stream", f.name, "consumer", f.durable, "error", err)
		sleep(ctx, wait)
	}
	f.log.Debug("input starts over", "stream", f.name, "consumer", f.durable, "cause", why)
	f.epoch.Add(1)
	f.pin, f.syncing, f.resetAt, f.next, f.last = pin, true, f.now(), 1, 0
}

// release gives the pin back on a clean stop, so that a standby reads at once.
func (f *feed) release(ctx context.Context) {
	if f.pin == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := f.stream.UnpinConsumer(ctx, f.durable, pinGroup); err != nil {
		f.log.Debug("unpin consumer", "consumer", f.durable, "error", err)
	}
}

// sleep waits, or returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
