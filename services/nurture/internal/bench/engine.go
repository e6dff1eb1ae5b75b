package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/nurturehq/nurture/pkg/bus"
)

// copyRecords is the engine's own limit for a service: consume the inputs of a
// stream, write records of the same size as the service wrote by compare-and-set
// in atomic batches of 1000, acknowledge. It returns inputs per second.
func copyRecords(ctx context.Context, b *bus.Bus, n, size int) (float64, error) {
	cons, err := b.JS.CreateOrUpdateConsumer(ctx, bus.Leads, jetstream.ConsumerConfig{
		Durable: "raw", AckPolicy: jetstream.AckAllPolicy, MaxAckPending: 20000,
		FilterSubject: bus.Filter(bus.Leads, "*", bus.KindState),
	})
	if err != nil {
		return 0, fmt.Errorf("open raw consumer: %w", err)
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(2000))
	if err != nil {
		return 0, fmt.Errorf("read raw consumer: %w", err)
	}
	defer it.Stop()
	w := rawWriter{b: b, last: map[string]uint64{}, body: make([]byte, size)}
	start := time.Now()
	for i := range n {
		msg, err := it.Next()
		if err != nil {
			return 0, fmt.Errorf("read input: %w", err)
		}
		lead, _, _, _ := bus.Split(msg.Subject())
		w.add(lead)
		if len(w.leads) < 1000 && i < n-1 {
			continue
		}
		if err := w.flush(ctx); err != nil {
			return 0, err
		}
		if err := msg.Ack(); err != nil {
			return 0, fmt.Errorf("acknowledge inputs: %w", err)
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// rawWriter writes one message per lead and batch, as a service does.
type rawWriter struct {
	b     *bus.Bus
	last  map[string]uint64
	leads []string
	seen  map[string]bool
	body  []byte
}

func (w *rawWriter) add(lead string) {
	w.leads = append(w.leads, lead)
}

func (w *rawWriter) flush(ctx context.Context) error {
	w.seen = make(map[string]bool, len(w.leads))
	msgs := make([]*nats.Msg, 0, len(w.leads))
	order := make([]string, 0, len(w.leads))
	for _, lead := range w.leads {
		if w.seen[lead] {
			continue
		}
		w.seen[lead] = true
		order = append(order, lead)
		msgs = append(msgs, bus.ExpectLast(&nats.Msg{Subject: "scores.state.raw." + lead, Data: w.body}, w.last[lead]))
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, w.b.JS, msgs, jetstreamext.BatchFlowControl{AckFirst: false})
	if err != nil {
		return fmt.Errorf("write raw batch: %w", err)
	}
	first := ack.Sequence - uint64(len(msgs)) + 1
	for i, lead := range order {
		w.last[lead] = first + uint64(i) //nolint:gosec // i counts a batch
	}
	w.leads = w.leads[:0]
	return nil
}

// commitRaw writes n messages of a size in atomic batches and returns messages
// per second: the limit of anything that must be durable before it is answered.
func commitRaw(ctx context.Context, b *bus.Bus, n, size, batch int) (float64, error) {
	body := make([]byte, size)
	start := time.Now()
	for sent := 0; sent < n; sent += batch {
		msgs := make([]*nats.Msg, batch)
		for i := range msgs {
			msgs[i] = bus.ExpectLast(&nats.Msg{Subject: fmt.Sprintf("leads.state.raw.r%d", sent+i), Data: body}, 0)
		}
		if _, err := jetstreamext.PublishMsgBatch(ctx, b.JS, msgs, jetstreamext.BatchFlowControl{AckFirst: false}); err != nil {
			return 0, fmt.Errorf("write raw batch: %w", err)
		}
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// commitEach is the same for callers that each wait for their own message:
// writers publish one at a time, as single HTTP requests must.
func commitEach(ctx context.Context, b *bus.Bus, n, size, writers int) (float64, error) {
	body := make([]byte, size)
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	start := time.Now()
	for w := range writers {
		wg.Go(func() {
			for i := range n / writers {
				msg := bus.ExpectLast(&nats.Msg{Subject: fmt.Sprintf("leads.state.raw.w%d-%d", w, i), Data: body}, 0)
				if _, err := b.Publish(ctx, msg); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, fmt.Errorf("write raw message: %w", err)
	default:
		return float64(n) / time.Since(start).Seconds(), nil
	}
}

// hops measures bare durable hops: publish, a pinned consumer that publishes to
// the next stream, and so on, each fsynced. One latency per journey.
func hops(ctx context.Context, b *bus.Bus, count int, p pace) ([]time.Duration, error) {
	streams := []string{bus.Leads, bus.Scores, bus.Handoff, bus.Campaign}[:count]
	arrived := make(chan string, p.journeys)
	for i, name := range streams {
		next := ""
		if i+1 < len(streams) {
			next = bus.Prefix(streams[i+1])
		}
		stop, err := relay(ctx, b, name, next, arrived)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	return paced(ctx, p, arrived, func(id string) error {
		_, err := b.Publish(ctx, &nats.Msg{Subject: "leads.hop.hop." + id, Data: make([]byte, 400)})
		return err
	})
}

// relay consumes hop messages of one stream and publishes them to the next.
func relay(ctx context.Context, b *bus.Bus, stream, next string, arrived chan<- string) (func(), error) {
	cons, err := b.JS.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: "hop", AckPolicy: jetstream.AckAllPolicy, FilterSubject: bus.Prefix(stream) + ".hop.hop.*",
		PriorityPolicy: jetstream.PriorityPolicyPinned, PriorityGroups: []string{"hop"}, PinnedTTL: 3 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("open hop consumer: %w", err)
	}
	run, err := cons.Consume(func(m jetstream.Msg) {
		id, _, _, _ := bus.Split(m.Subject())
		if next == "" {
			arrived <- id
		} else if _, err := b.Publish(ctx, &nats.Msg{Subject: next + ".hop.hop." + id, Data: m.Data()}); err != nil {
			return
		}
		_ = m.Ack()
	}, jetstream.PullPriorityGroup("hop"))
	if err != nil {
		return nil, fmt.Errorf("read hop consumer: %w", err)
	}
	return run.Stop, nil
}
