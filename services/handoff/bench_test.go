package handoff_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkScoreToWebhook measures from the publishing of a score record that
// qualifies a lead to the signed webhook's arrival, one lead at a time: two
// durable hops, the evidence and the POST.
func BenchmarkScoreToWebhook(b *testing.B) {
	crm := newCRM(b, always(200))
	r := newRoom(b, setup{crm: crm})
	r.arrive("warm-up")
	crm.next()
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		lead := fmt.Sprintf("lead-%d", i)
		r.others.know(someone(lead))
		began := time.Now()
		r.qualify(lead)
		took = append(took, crm.next().at.Sub(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
