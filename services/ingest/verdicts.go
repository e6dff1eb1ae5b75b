package ingest

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// fieldJudged is the number of ingest.v1.Event.judged.
const fieldJudged = 18

// committed counts the verdicts of a record that is on the log. Records that can
// have none are not looked into: they are nearly all.
func (s *Service) committed(rec *ledgerv1.Record) {
	raw := rec.GetEvents()
	for _, c := range rec.GetCauses() {
		n := min(int(c.GetEvents()), len(raw))
		if mayJudge(c) {
			s.metrics.judged(raw[:n])
		}
		raw = raw[n:]
	}
}

// mayJudge reports whether an input is of a kind that gives verdicts: a wake-up,
// other rules, a merge, or one hit too many.
func mayJudge(c *ledgerv1.Cause) bool {
	switch c.GetKind() {
	case person.KindCapture, person.KindIdentify, person.KindConsent:
		return false
	case person.KindTrack:
		return c.GetEvents() > 1
	}
	return c.GetEvents() > 0
}

// judged counts verdicts among encoded events.
func (m *metrics) judged(events [][]byte) {
	for _, raw := range events {
		if !isJudged(raw) {
			continue
		}
		e := &ingestv1.Event{}
		if err := proto.Unmarshal(raw, e); err != nil {
			continue
		}
		a, by := e.GetJudged().GetActivity(), "human"
		if a.GetMachine() {
			by = "machine"
		}
		m.verdicts.Add(context.Background(), 1, metric.WithAttributes(attribute.String("type", a.GetType()),
			attribute.String("by", by), attribute.String("reason", a.GetVerdict()), attribute.Bool("again", e.GetJudged().GetAgain())))
	}
}

// isJudged looks at the tags of an event alone: nearly all have no verdict.
func isJudged(event []byte) bool {
	for len(event) > 0 {
		field, kind, size := protowire.ConsumeTag(event)
		if field == fieldJudged || size < 0 {
			return size > 0
		}
		event = event[size:]
		if size = protowire.ConsumeFieldValue(field, kind, event); size < 0 {
			return false
		}
		event = event[size:]
	}
	return false
}
