package ingest

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/bounce"
	"github.com/nurturehq/nurture/services/ingest/internal/feed"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/reject"
)

// metrics are what ingest counts.
type metrics struct {
	events, hooks, mails, disputes, verdicts metric.Int64Counter
}

func newMetrics() *metrics {
	count := func(name, what, unit string) metric.Int64Counter {
		c, err := otel.Meter("github.com/nurturehq/nurture/services/ingest").Int64Counter(name,
			metric.WithDescription(what), metric.WithUnit(unit))
		if err != nil {
			return noop.Int64Counter{}
		}
		return c
	}
	return &metrics{
		events:   count("nurture_ingest_events", "Events by source, kind and what became of them.", "{event}"),
		hooks:    count("nurture_ingest_hooks", "Calls of webhooks, and what they told, by source, kind and what became of them.", "{call}"),
		mails:    count("nurture_ingest_returns", "Mails that came back by what they are and what became of them.", "{mail}"),
		verdicts: count("nurture_ingest_verdicts", "Verdicts on opens and clicks by who it was and why.", "{verdict}"),
		disputes: count("nurture_ingest_account_conflicts", "Keys told of an account that belong to another one.", "{key}"),
	}
}

// returned counts a mail that came back.
func (m *metrics) returned(ctx context.Context, what bounce.Verdict, result string) {
	m.mails.Add(ctx, 1, metric.WithAttributes(attribute.String("verdict", string(what)), attribute.String("result", result)))
}

// disputed counts keys told of an account that another one has.
func (m *metrics) disputed(n int) { m.disputes.Add(context.Background(), int64(n)) }

// outcome is one label set of the counter.
type outcome struct{ source, kind, result string }

// count counts what became of submissions and gives them back.
func (s *Service) count(ctx context.Context, subs []person.Submission, outcomes []person.Outcome) []person.Outcome {
	sums := make(map[outcome]int64, 2)
	for i, o := range outcomes {
		sums[outcome{subs[i].Apply.GetCapture().GetSource(), subs[i].Kind, result(o)}]++
	}
	now := s.deps.Now()
	for o, n := range sums {
		s.told(o, n, now)
		s.metrics.events.Add(ctx, n, metric.WithAttributeSet(attribute.NewSet(
			attribute.String("source", s.known(o.source)), attribute.String("kind", o.kind), attribute.String("result", o.result))))
	}
	return outcomes
}

// told counts per source what is on the log, and what never will be.
func (s *Service) told(o outcome, n int64, now time.Time) {
	switch o.result {
	case resultAccepted, resultCreated, resultDuplicate:
		s.tally.recorded(o.source, uint64(n), o.result, now)
	case resultRefused:
		s.tally.refused(o.source, uint64(n))
	}
}

// known keeps the number of label values bounded: senders may name any source.
func (s *Service) known(name string) string {
	if _, ok := s.sources.Current().Named(name); ok || name == "campaign" || name == returns {
		return name
	}
	return "other"
}

// What became of a submission.
const (
	resultAccepted  = "accepted"
	resultCreated   = "created"
	resultDuplicate = "duplicate"
	resultRefused   = "refused"
)

func result(o person.Outcome) string {
	switch {
	case o.Err == nil && o.Duplicate:
		return resultDuplicate
	case o.Err == nil && o.Created:
		return resultCreated
	case o.Err == nil:
		return resultAccepted
	case rpc.Status(o.Err).Code() == codes.ResourceExhausted:
		return "busy"
	case rpc.Status(o.Err).Code() == codes.Unavailable:
		return "unavailable"
	}
	return resultRefused
}

// quarantine keeps what no person seems to have sent where a person finds it:
// sending it back makes it an event like any other.
func (s *Service) quarantine(ctx context.Context, req *ingestv1.CaptureLeadRequest, why string) error {
	data, err := proto.Marshal(&ingestv1.Inbound{Command: &ingestv1.Inbound_Capture{Capture: req}})
	if err != nil {
		return fmt.Errorf("encode quarantined form: %w", err)
	}
	now := s.deps.Now()
	if !s.keeps(ctx, req.GetSource(), reject.Quarantined) {
		return nil
	}
	parked := &ledgerv1.Parked{
		Service: "ingest", Stream: bus.Inbound, Seq: uint64(now.UnixNano()), //nolint:gosec // after 1970
		Subject: bus.InboundSubject(req.GetSource()), Data: data,
		Headers: map[string]string{feed.ContentType: feed.Protobuf},
		Reason:  reject.Quarantined, Error: why, Source: req.GetSource(), Kind: reject.Inbound,
		Faults:  []*ledgerv1.Fault{{Message: why}},
		FirstAt: timestamppb.New(now), ParkedAt: timestamppb.New(now), MessageTime: timestamppb.New(now),
	}
	return s.drawer.Reject(ctx, parked)
}
