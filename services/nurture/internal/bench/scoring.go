package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	"github.com/nurturehq/nurture/services/scoring"
)

const (
	scoredEvents = 30000
	scoredLeads  = 10000
	// scoringRounds are measured in turn with the engine's: one takes a second or
	// two, and the machine is not the same from one second to the next.
	scoringRounds = 5
)

// Scoring measures LEADS -> SCORES: events that lie ready are folded into scores
// and committed, against the engine doing the same reads and writes with no fold:
// the medians of several rounds, and the median of the rounds' ratios.
func Scoring(ctx context.Context, config string) ([]Line, error) {
	var rates, raws, ratios []float64
	size := 0
	for range scoringRounds {
		rate, bytes, err := scoreAll(ctx, config)
		if err != nil {
			return nil, err
		}
		raw, err := copyAll(ctx, bytes)
		if err != nil {
			return nil, err
		}
		rates, raws, ratios, size = append(rates, rate), append(raws, raw), append(ratios, rate/raw), bytes
	}
	return []Line{
		{"engine_rmw", median(raws), "events/s"},
		{"scoring_pipeline", median(rates), "events/s"},
		{"scoring_record", float64(size), "bytes"},
		{"scoring_vs_engine", median(ratios), "ratio"},
	}, nil
}

// median of an odd number of figures.
func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// copyAll is the engine's round: records of this size.
func copyAll(ctx context.Context, size int) (rate float64, err error) {
	r, err := newRig(ctx)
	if err != nil {
		return 0, err
	}
	defer r.close()
	if err := r.preload(ctx); err != nil {
		return 0, err
	}
	return copyRecords(ctx, r.bus, scoredEvents, size)
}

// scoreAll runs scoring over the preloaded events; it returns events per second,
// from the start of the service to the commit of the last score, and the mean size of a record.
func scoreAll(ctx context.Context, config string) (rate float64, size int, err error) {
	r, err := newRig(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer r.close()
	if err := r.preload(ctx); err != nil {
		return 0, 0, err
	}
	cfg := scoring.DefaultConfig()
	cfg.Model = filepath.Join(config, "model.yaml")
	deps := scoring.Deps{Redis: r.redis, Log: r.log}
	if deps.Bus, err = r.connect(ctx, "scoring"); err != nil {
		return 0, 0, err
	}
	if deps.HTTP, err = listen(ctx); err != nil {
		return 0, 0, err
	}
	if deps.GRPC, err = listen(ctx); err != nil {
		return 0, 0, err
	}
	s, err := scoring.New(cfg, deps)
	if err != nil {
		return 0, 0, fmt.Errorf("open scoring: %w", err)
	}
	start := time.Now()
	r.background(ctx, "scoring", s.Run)
	if err := r.drained(ctx, bus.Leads, "scoring-lane-"); err != nil {
		return 0, 0, err
	}
	stream, err := r.bus.JS.Stream(ctx, bus.Scores)
	if err != nil {
		return 0, 0, fmt.Errorf("open stream: %w", err)
	}
	// Not until the inputs are acknowledged: the last schedules wait half a second
	// for company, once, which is no rate.
	last, err := stream.GetLastMsgForSubject(ctx, bus.Filter(bus.Scores, "*", bus.KindState))
	if err != nil {
		return 0, 0, fmt.Errorf("read last score: %w", err)
	}
	rate = scoredEvents / last.Time.Sub(start).Seconds()
	state := stream.CachedInfo().State
	return rate, int(state.Bytes/max(state.Msgs, 1)) - overhead, nil //nolint:gosec // a small mean
}

// overhead is what the store adds to a message: its header, subject and the
// condition's header, about.
const overhead = 150

// drained waits until all consumers of a service have worked everything.
func (r *rig) drained(ctx context.Context, stream, prefix string) error {
	s, err := r.bus.JS.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", stream, err)
	}
	return until(ctx, prefix+"* are through", func() (bool, error) {
		readers, idle := 0, 0
		list := s.ListConsumers(ctx)
		for info := range list.Info() {
			if strings.HasPrefix(info.Name, prefix) {
				readers++
				if info.NumPending == 0 && info.NumAckPending == 0 {
					idle++
				}
			}
		}
		return readers > 0 && readers == idle, list.Err()
	})
}

// preload writes the records that ingest would: a capture, then page views.
func (r *rig) preload(ctx context.Context) error {
	began := time.Now().Add(-time.Hour)
	for start := 0; start < scoredEvents; start += 1000 {
		msgs := make([]*nats.Msg, 1000)
		for i := range msgs {
			n := start + i
			raw, err := leadRecord(n%scoredLeads, n/scoredLeads, began.Add(time.Duration(n)*time.Millisecond))
			if err != nil {
				return err
			}
			lead := fmt.Sprintf("lead%06d", n%scoredLeads)
			msgs[i] = &nats.Msg{Subject: bus.Subject(bus.Leads, lead, bus.KindState), Data: raw, Header: nats.Header{}}
			if n < scoredLeads {
				msgs[i].Header[bus.HeaderBorn] = []string{"1"}
			}
		}
		if _, err := jetstreamext.PublishMsgBatch(ctx, r.bus.JS, msgs); err != nil {
			return fmt.Errorf("preload leads: %w", err)
		}
	}
	return nil
}

// leadRecord is the nth record of a lead, about 400 bytes.
func leadRecord(lead, n int, at time.Time) ([]byte, error) {
	now := timestamppb.New(at)
	domain := fmt.Sprintf("company%d.example", lead%500)
	state := &ingestv1.State{Lead: &leadv1.Lead{
		LeadId: fmt.Sprintf("lead%06d", lead),
		Facts: &leadv1.Facts{
			HasEmail: true, HasCompany: true, CompanyDomain: domain, JobTitle: "Head of Operations",
			Country: "DE", Employees: int64(20 + lead%400), //nolint:gosec // small
		},
		Source: "product", CreatedAt: now, UpdatedAt: now, LastSeenAt: now, Activities: uint64(n), //nolint:gosec // small
	}}
	event := &ingestv1.Event{OccurredAt: now, Source: "product", Fact: &ingestv1.Event_Activity{Activity: &leadv1.Activity{
		Id: fmt.Sprintf("a-%d-%d", lead, n), Type: "page_viewed", OccurredAt: now, ReceivedAt: now,
		Properties: map[string]string{"path": []string{"/", "/pricing", "/customers/one"}[n%3]},
	}}}
	events := []proto.Message{event}
	if n == 0 {
		events = []proto.Message{
			&ingestv1.Event{OccurredAt: now, Source: "product", Fact: &ingestv1.Event_Captured{Captured: &ingestv1.Captured{}}},
			&ingestv1.Event{OccurredAt: now, Source: "product", Fact: &ingestv1.Event_Identified{Identified: &ingestv1.Identified{Changed: []string{"email"}}}},
			event,
		}
	}
	rec := &ledgerv1.Record{Id: fmt.Sprintf("r-%d-%d", lead, n), Version: uint64(n + 1)} //nolint:gosec // small
	for _, e := range events {
		raw, err := proto.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("encode event: %w", err)
		}
		rec.Events = append(rec.Events, raw)
	}
	var err error
	if rec.State, err = proto.Marshal(state); err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	raw, err := proto.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return raw, nil
}
