package sender_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/services/campaign/internal/sender"
)

// BenchmarkMails sends planned touches through gates, claim, render, SMTP to a
// sink and outcome. One operation is one mail.
func BenchmarkMails(b *testing.B) {
	o := newOffice(b, always(fine))
	for i := range b.N {
		lead := fmt.Sprintf("lead%d", i)
		o.meet(lead)
		o.plan(lead)
	}
	b.ResetTimer()
	stop := o.sender(func(opts *sender.Options, d *sender.Deps) {
		opts.Batch, opts.Workers, opts.AttemptTimeout = 512, 2, time.Minute
		d.Pool = sender.NewPool(sender.PoolOptions{Addr: o.addr, TLS: sender.TLSNone, Connections: 8})
	})
	want := uint64(3 * b.N) //nolint:gosec // plans, claims and outcomes
	for o.messages() < want {
		<-time.After(5 * time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
	stop()
}

// messages counts what the campaign's stream holds.
func (o *office) messages() uint64 {
	s, err := o.bus.JS.Stream(o.tb.Context(), bus.Campaign)
	if err != nil {
		o.tb.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}
