package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
)

const benchLeads = 3

// preload stores n inputs of n/benchLeads leads.
func preload(b *testing.B, bs *bus.Bus, n int) {
	b.Helper()
	payload := make([]byte, 200)
	var batch []*nats.Msg
	for i := range n {
		lead := fmt.Sprintf("lead%06d", i%(n/benchLeads))
		batch = append(batch, &nats.Msg{Subject: bus.Subject(bus.Leads, lead, "activity"), Data: payload, Header: nats.Header{}})
		if len(batch) == 1000 || i == n-1 {
			if _, err := jetstreamext.PublishMsgBatch(b.Context(), bs.JS, batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0:0]
		}
	}
}

// count is a fold that does next to nothing.
func count(s state, _ ledger.Input, _ time.Time) (change, error) {
	s.Activities++
	return change{State: s, Reason: "counted"}, nil
}

// BenchmarkLedger commits 30,000 preloaded inputs through a ledger.
func BenchmarkLedger(b *testing.B) {
	const n = 30000
	for range b.N {
		b.StopTimer()
		bs := bustest.New(b)
		preload(b, bs, n)
		o := options()
		o.Fold, o.CacheLeads = count, 20000
		l, err := ledger.New(o, ledger.Deps{Bus: bs, Redis: ledgertest.Miniredis(b)})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error, 1)
		b.StartTimer()
		go func() { done <- l.Run(ctx) }()
		acked(b, bs, "scoring-lane-all", n)
		b.StopTimer()
		cancel()
		<-done
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "inputs/s")
}

// BenchmarkEngine is the same without a ledger: consume, write the same bytes
// by compare-and-set in batches of 1000, acknowledge.
func BenchmarkEngine(b *testing.B) {
	const n = 30000
	for range b.N {
		b.StopTimer()
		bs := bustest.New(b)
		preload(b, bs, n)
		cons, err := bs.JS.CreateConsumer(b.Context(), bus.Leads, jetstream.ConsumerConfig{
			Durable: "raw", AckPolicy: jetstream.AckAllPolicy, MaxAckPending: 20000, FilterSubject: "leads.activity.*.*",
		})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		rawCopy(b, bs, cons, n)
		acked(b, bs, "raw", n)
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "inputs/s")
}

func rawCopy(b *testing.B, bs *bus.Bus, cons jetstream.Consumer, n int) {
	b.Helper()
	it, err := cons.Messages(jetstream.PullMaxMessages(2000))
	if err != nil {
		b.Fatal(err)
	}
	defer it.Stop()
	last := map[string]uint64{}
	var batch []*nats.Msg
	body := make([]byte, 120)
	for i := range n {
		msg, err := it.Next()
		if err != nil {
			b.Fatal(err)
		}
		lead, _, _, _ := bus.Split(msg.Subject())
		batch = append(batch, bus.ExpectLast(&nats.Msg{Subject: bus.Subject(bus.Scores, lead, bus.KindState), Data: body}, last[lead]))
		if len(batch) < 1000 && i < n-1 {
			continue
		}
		ack, err := jetstreamext.PublishMsgBatch(b.Context(), bs.JS, batch, jetstreamext.BatchFlowControl{AckFirst: false})
		if err != nil {
			b.Fatal(err)
		}
		for j, m := range batch {
			l, _, _, _ := bus.Split(m.Subject)
			last[l] = ack.Sequence - uint64(len(batch)) + 1 + uint64(j)
		}
		batch = batch[:0:0]
		_ = msg.Ack()
	}
}

// acked waits until a consumer has acknowledged n messages.
func acked(b *testing.B, bs *bus.Bus, consumer string, n uint64) {
	b.Helper()
	s, err := bs.JS.Stream(b.Context(), bus.Leads)
	if err != nil {
		b.Fatal(err)
	}
	ledgertest.Eventually(b, "all inputs are acknowledged", func() bool {
		cons, err := s.Consumer(b.Context(), consumer)
		return err == nil && cons.CachedInfo().AckFloor.Stream >= n
	})
}
