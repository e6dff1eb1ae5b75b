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
	// ready, if there is one, says what the step still waits for.
	ready func(e *Eraser, ctx context.Context, c *ingestv1.Erasure) (note string, err error)
	do    func(e *Eraser, ctx context.Context, c *ingestv1.Erasure) (result, error)
	// overwrites: it is written down that the step begins. The server marks a message
	// as deleted before it overwrites it; when it dies between, the bytes stay and
	// nothing tells of them but this.
	overwrites bool
	// later: while it waits, the steps after it are done all the same.
	later bool
}

// stepSales is the one that depends on the world outside.
const stepSales = "crm"

// steps are all of them, in their order.
func steps() []step {
	return []step{
		{name: "record_ingest", do: (*Eraser).entomb},
		{name: "identities", do: (*Eraser).release, overwrites: true},
		{name: stepAccounts, do: (*Eraser).leave, overwrites: true},
		{name: "parked", do: (*Eraser).sweepParked, overwrites: true},
		{name: "inbound", ready: (*Eraser).unhandled, do: (*Eraser).sweepInbound, overwrites: true},
		{name: "outbound", do: (*Eraser).sweepOutbound, overwrites: true},
		{name: "record_scoring", do: confirmed(bus.Scores, "scoring")},
		{name: "record_campaign", do: confirmed(bus.Campaign, "campaign")},
		{name: "record_handoff", do: confirmed(bus.Handoff, "handoff")},
		{name: "data_key", do: (*Eraser).destroy, overwrites: true},
		{name: "messages_leads", do: wiped(bus.Leads), overwrites: true},
		{name: "messages_scores", do: wiped(bus.Scores), overwrites: true},
		{name: "messages_campaign", do: wiped(bus.Campaign), overwrites: true},
		{name: "messages_handoff", do: wiped(bus.Handoff), overwrites: true},
		{name: "caches", do: (*Eraser).uncache, later: true},
		{name: "told", do: (*Eraser).tell},
		{name: stepSales, do: (*Eraser).sales, later: true},
		{name: "inbound_rest", do: (*Eraser).clearInbound, later: true},
	}
}

func waiting(s step) *ingestv1.ErasureStep {
	return &ingestv1.ErasureStep{Name: s.name, Status: pending}
}

// proceed does the steps that are not done, in order, until one has to wait. The
// certificate is written after each.
func (e *Eraser) proceed(ctx context.Context, c *certificate) error {
	finished := true
	for i, s := range steps() {
		if i == len(c.GetSteps()) { // begun by a version that did not know the step
			c.Steps = append(c.Steps, waiting(s))
		}
		entry := c.GetSteps()[i]
		if entry.GetStatus() != pending {
			continue
		}
		r, err := e.do(ctx, c, s, entry)
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

// do does one step; pending when it has to wait.
func (e *Eraser) do(ctx context.Context, c *certificate, s step, entry *ingestv1.ErasureStep) (result, error) {
	if s.ready != nil {
		if note, err := s.ready(e, ctx, c.Erasure); err != nil || note != "" {
			return result{status: pending, note: note}, err
		}
	}
	if !s.overwrites {
		return s.do(e, ctx, c.Erasure)
	}
	if entry.GetBeganAt() != nil {
		entry.Interrupted = true
	} else {
		entry.BeganAt = timestamppb.New(e.Now())
		if err := e.write(ctx, c); err != nil {
			return result{}, err
		}
	}
	return s.do(e, ctx, c.Erasure)
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
