package ingest_test

import (
	"testing"
	"time"

	"github.com/nurturehq/nurture/pkg/bus/bustest"

	"github.com/nurturehq/nurture/services/ingest"
)

func TestARejectGoesWhenItsTimeIsOver(t *testing.T) {
	for _, c := range []struct {
		keep time.Duration
		left int
	}{{time.Millisecond, 0}, {time.Hour, 1}, {0, 1}} {
		t.Run(c.keep.String(), func(t *testing.T) {
			tidy := make(chan time.Time)
			r := joinRoomWith(t, bustest.New(t), func(d *ingest.Deps) { d.Tidy = tidy }, func(cfg *ingest.Config) { cfg.RejectRetention = c.keep })
			r.post("/v1/batch", []byte(`{"writeKey":"website-write-key","batch":[{"type":"dance","userId":"u1"}]}`))
			r.eventually("it is kept for a person", func() bool { return len(r.rejects("website")) == 1 || c.left == 0 })
			if c.keep > 0 {
				tidy <- time.Now() // it looks
				tidy <- time.Now() // it has looked
			}
			if n := len(r.rejects("website")); n != c.left {
				t.Errorf("%d rejects are left, want %d", n, c.left)
			}
		})
	}
}
