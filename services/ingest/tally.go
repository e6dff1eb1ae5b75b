package ingest

import (
	"context"
	"maps"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/reject"
)

// tally is what this process has seen of each source, for `nurture source list`
// and as metrics. Sources that nobody configured are one: "other".
type tally struct {
	mu    sync.Mutex
	known func(name string) string
	seen  map[string]*seen

	rejects, throttles, bytes, files metric.Int64Counter
	latency                          metric.Float64Histogram
}

type seen struct {
	counts *ingestv1.SourceCounts
	last   time.Time
}

func newTally(known func(string) string) *tally {
	m := otel.Meter("github.com/nurturehq/nurture/services/ingest")
	counter := func(name, about, unit string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithDescription(about), metric.WithUnit(unit))
		if err != nil {
			return noop.Int64Counter{}
		}
		return c
	}
	t := &tally{
		known: known, seen: map[string]*seen{},
		rejects:   counter("nurture_ingest_rejects", "What sources sent and was not taken, by source and reason, and whether it was kept for a person.", "{reject}"),
		throttles: counter("nurture_ingest_throttled", "Events answered 429 because of limits, by source and limit.", "{event}"),
		bytes:     counter("nurture_ingest_received", "Bodies of authenticated requests by source.", "By"),
		files:     counter("nurture_ingest_sources_read", "Changes of sources.yaml by what became of them: used or refused.", "{change}"),
	}
	var err error
	t.latency, err = m.Float64Histogram("nurture_ingest_accept_duration",
		metric.WithDescription("From admission to the answer, by source."), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
	if err != nil {
		t.latency = noop.Float64Histogram{}
	}
	return t
}

// note changes what is counted of a source.
func (t *tally) note(name string, change func(*seen)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.seen[name]
	if !ok {
		s = &seen{counts: &ingestv1.SourceCounts{Rejected: map[string]uint64{}}}
		t.seen[name] = s
	}
	change(s)
}

// recorded counts events of a source that are on the log.
func (t *tally) recorded(name string, n uint64, result string, at time.Time) {
	t.note(t.known(name), func(s *seen) {
		switch result {
		case resultDuplicate:
			s.counts.Duplicate += n
			return
		case resultCreated:
			s.counts.Created += n
		}
		s.counts.Accepted += n
		s.last = at
	})
}

// rejected counts what was not taken.
func (t *tally) rejected(ctx context.Context, name, reason string, kept bool) {
	name = t.known(name)
	t.note(name, func(s *seen) {
		s.counts.Rejected[reason]++
		if !kept {
			s.counts.NotKept++
		}
	})
	t.rejects.Add(ctx, 1, metric.WithAttributes(attribute.String("source", name),
		attribute.String("reason", reason), attribute.Bool("kept", kept)))
}

// refused counts events that do not fit what is known; their sender was told.
func (t *tally) refused(name string, n uint64) {
	t.note(t.known(name), func(s *seen) { s.counts.Rejected[reject.Refused] += n })
}

// throttled counts events whose sender was told to come again.
func (t *tally) throttled(ctx context.Context, name string, n int, rate bool) {
	name = t.known(name)
	t.note(name, func(s *seen) { s.counts.Throttled += uint64(n) })
	which := "share"
	if rate {
		which = "rate"
	}
	t.throttles.Add(ctx, int64(n), metric.WithAttributes(attribute.String("source", name), attribute.String("limit", which)))
}

// took measures one acceptance.
func (t *tally) took(ctx context.Context, name string, d time.Duration) {
	t.latency.Record(ctx, d.Seconds(), metric.WithAttributes(attribute.String("source", t.known(name))))
}

// received counts the body of an authenticated request.
func (t *tally) received(ctx context.Context, name string, bytes int) {
	t.bytes.Add(ctx, int64(bytes), metric.WithAttributes(attribute.String("source", t.known(name))))
}

// clamped counts events whose time was not believed.
func (t *tally) clamped(name string) {
	t.note(t.known(name), func(s *seen) { s.counts.Clamped++ })
}

// of gives what was counted of a source and when something of it was recorded
// last, nil when nothing was.
func (t *tally) of(name string) (*ingestv1.SourceCounts, *timestamppb.Timestamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.seen[name]
	if !ok {
		return &ingestv1.SourceCounts{}, nil
	}
	c := &ingestv1.SourceCounts{
		Accepted: s.counts.GetAccepted(), Created: s.counts.GetCreated(), Duplicate: s.counts.GetDuplicate(),
		Rejected: maps.Clone(s.counts.GetRejected()), NotKept: s.counts.GetNotKept(),
		Throttled: s.counts.GetThrottled(), Clamped: s.counts.GetClamped(),
	}
	if s.last.IsZero() {
		return c, nil
	}
	return c, timestamppb.New(s.last)
}
