package erasure

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// subject is where the certificate of a lead lies.
func subject(lead string) string { return "leads.erasure." + lead }

// certificate is an erasure with the place it was read from.
type certificate struct {
	*ingestv1.Erasure
	seq uint64
}

func (c certificate) finished() bool { return c.GetFinishedAt() != nil }

// read answers the certificate of a lead; ledger.ErrNotFound without one.
func (e *Eraser) read(ctx context.Context, lead string) (certificate, error) {
	msg, err := e.Bus.LastMsg(ctx, bus.Leads, subject(lead))
	if errors.Is(err, bus.ErrNoMessage) {
		return certificate{}, fmt.Errorf("lead %.64q was not erased: %w", lead, ledger.ErrNotFound)
	}
	if err != nil {
		return certificate{}, fmt.Errorf("read erasure: %w", err)
	}
	c := certificate{Erasure: &ingestv1.Erasure{}, seq: msg.Sequence}
	if err := proto.Unmarshal(msg.Data, c.Erasure); err != nil {
		return certificate{}, fmt.Errorf("decode erasure of lead %s: %w", lead, err)
	}
	return c, nil
}

// write stores the certificate on top of what was read; bus.ErrConflict when
// somebody else went on with it.
func (e *Eraser) write(ctx context.Context, c *certificate) error {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.Erasure)
	if err != nil {
		return fmt.Errorf("encode erasure: %w", err)
	}
	seq, err := e.Bus.Publish(ctx, bus.ExpectLast(&nats.Msg{Subject: subject(c.GetLeadId()), Data: raw}, c.seq))
	if err != nil {
		return fmt.Errorf("write erasure: %w", err)
	}
	c.seq = seq
	return nil
}

// all reads every certificate as it is now, the oldest erasure first.
func (e *Eraser) all(ctx context.Context) ([]certificate, error) {
	byLead := map[string]certificate{}
	for raw, err := range e.Bus.Read(ctx, bus.Leads, subject("*"), 1) {
		if err != nil {
			return nil, fmt.Errorf("read erasures: %w", err)
		}
		c := certificate{Erasure: &ingestv1.Erasure{}, seq: raw.Sequence}
		if err := proto.Unmarshal(raw.Data, c.Erasure); err != nil {
			return nil, fmt.Errorf("decode erasure %d: %w", raw.Sequence, err)
		}
		byLead[c.GetLeadId()] = c
	}
	list := make([]certificate, 0, len(byLead))
	for _, c := range byLead {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b certificate) int {
		return a.GetRequestedAt().AsTime().Compare(b.GetRequestedAt().AsTime())
	})
	return list, nil
}

// Get answers the certificate of a lead, or of the person that it was part of;
// ledger.ErrNotFound without one.
func (e *Eraser) Get(ctx context.Context, lead string) (*ingestv1.Erasure, error) {
	c, err := e.read(ctx, lead)
	if !errors.Is(err, ledger.ErrNotFound) {
		return c.Erasure, err
	}
	list, listErr := e.all(ctx)
	if listErr != nil {
		return nil, listErr
	}
	for _, c := range list {
		if slices.Contains(c.GetLeadIds(), lead) {
			return c.Erasure, nil
		}
	}
	return nil, err
}

// List answers the latest erasures, the latest first, at most limit.
func (e *Eraser) List(ctx context.Context, limit int) ([]*ingestv1.Erasure, error) {
	all, err := e.all(ctx)
	if err != nil {
		return nil, err
	}
	slices.Reverse(all)
	list := make([]*ingestv1.Erasure, 0, min(limit, len(all)))
	for _, c := range all[:min(limit, len(all))] {
		list = append(list, c.Erasure)
	}
	return list, nil
}
