package erasure

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

const (
	pending = ingestv1.ErasureStatus_ERASURE_STATUS_PENDING
	done    = ingestv1.ErasureStatus_ERASURE_STATUS_DONE
	nothing = ingestv1.ErasureStatus_ERASURE_STATUS_NOTHING
)

// result is what became of a step.
type result struct {
	status  ingestv1.ErasureStatus
	removed uint64
	note    string
}

// step is one thing to be done. An error passes by itself and the step is tried
// again.
type step struct {
	name string
	do   func(e *Eraser, ctx context.Context, c *ingestv1.Erasure) (result, error)
	// later: while it waits, the steps after it are done all the same.
	later bool
}

// stepSales is the one that depends on the world outside.
const stepSales = "crm"

// steps are all of them, in their order.
func steps() []step {
	return []step{
		{name: "record_ingest", do: (*Eraser).entomb},
		{name: "identities", do: (*Eraser).release},
		{name: "parked", do: (*Eraser).sweepParked},
		{name: "inbound", do: (*Eraser).sweepInbound},
		{name: "outbound", do: (*Eraser).sweepOutbound},
		{name: "record_scoring", do: confirmed(bus.Scores, "scoring")},
		{name: "record_campaign", do: confirmed(bus.Campaign, "campaign")},
		{name: "record_handoff", do: confirmed(bus.Handoff, "handoff")},
		{name: "data_key", do: (*Eraser).destroy},
		{name: "messages_leads", do: wiped(bus.Leads)},
		{name: "messages_scores", do: wiped(bus.Scores)},
		{name: "messages_campaign", do: wiped(bus.Campaign)},
		{name: "messages_handoff", do: wiped(bus.Handoff)},
		{name: "caches", do: (*Eraser).uncache, later: true},
		{name: "told", do: (*Eraser).tell},
		{name: stepSales, do: (*Eraser).sales, later: true},
	}
}

// proceed does the steps that are not done, in order, until one has to wait. The
// certificate is written after each.
func (e *Eraser) proceed(ctx context.Context, c *certificate) error {
	finished := true
	for i, s := range steps() {
		entry := c.GetSteps()[i]
		if entry.GetStatus() != pending {
			continue
		}
		r, err := s.do(e, ctx, c.Erasure)
		if err != nil {
			return fmt.Errorf("erase lead %s: %s: %w", c.GetLeadId(), s.name, err)
		}
		if r.status == pending && entry.GetNote() == r.note {
			finished = false
			if !s.later {
				return nil
			}
			continue
		}
		entry.Status, entry.Note = r.status, r.note
		entry.Removed += r.removed
		if r.status != pending {
			entry.At = timestamppb.New(e.Now())
		}
		if err := e.write(ctx, c); err != nil {
			return err
		}
		if r.status == pending {
			finished = false
			if !s.later {
				return nil
			}
		}
	}
	if !finished {
		return nil
	}
	c.FinishedAt = timestamppb.New(e.Now())
	e.Log.Info("an erasure is finished", "lead_id", c.GetLeadId())
	return e.write(ctx, c)
}

// onlySales reports whether nothing is left but the CRM's answer.
func onlySales(c *ingestv1.Erasure) bool {
	for _, s := range c.GetSteps() {
		if s.GetStatus() == pending && s.GetName() != stepSales {
			return false
		}
	}
	return true
}
