package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/store/erasure"
)

// defaultErasures is how many erasures are listed when nobody says.
const defaultErasures = 100

// requested is why a person is erased when nobody says.
const requested = "request"

// Eraser forgets people.
type Eraser interface {
	Erase(ctx context.Context, r erasure.Request) (*ingestv1.Erasure, error)
	Get(ctx context.Context, lead string) (*ingestv1.Erasure, error)
	List(ctx context.Context, limit int) ([]*ingestv1.Erasure, error)
}

// EraseLead forgets a person.
func (s *Server) EraseLead(ctx context.Context, req *ingestv1.EraseLeadRequest) (*ingestv1.EraseLeadResponse, error) {
	if err := possible(req.GetLeadId()); err != nil {
		return nil, err
	}
	// A merge that was cut short is completed first: what belongs to the person is
	// found by what their leads say of each other.
	if _, err := s.Who.Find(ctx, req.GetLeadId()); err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return nil, fmt.Errorf("erase lead: %w", err)
	}
	c, err := s.Eraser.Erase(ctx, erasure.Request{
		Lead: req.GetLeadId(), By: req.GetRequestedBy(), Reason: cmp.Or(req.GetReason(), requested),
	})
	if err != nil {
		return nil, fmt.Errorf("erase lead: %w", err)
	}
	return &ingestv1.EraseLeadResponse{Erasure: c}, nil
}

// GetErasure answers a certificate.
func (s *Server) GetErasure(ctx context.Context, req *ingestv1.GetErasureRequest) (*ingestv1.GetErasureResponse, error) {
	if err := possible(req.GetLeadId()); err != nil {
		return nil, err
	}
	c, err := s.Eraser.Get(ctx, req.GetLeadId())
	if err != nil {
		return nil, fmt.Errorf("get erasure: %w", err)
	}
	return &ingestv1.GetErasureResponse{Erasure: c}, nil
}

// ListErasures answers all certificates, the latest first.
func (s *Server) ListErasures(ctx context.Context, req *ingestv1.ListErasuresRequest) (*ingestv1.ListErasuresResponse, error) {
	list, err := s.Eraser.List(ctx, cmp.Or(int(req.GetLimit()), defaultErasures))
	if err != nil {
		return nil, fmt.Errorf("list erasures: %w", err)
	}
	return &ingestv1.ListErasuresResponse{Erasures: list}, nil
}

// RewrapKeys wraps all data keys in the newest key.
func (s *Server) RewrapKeys(ctx context.Context, _ *ingestv1.RewrapKeysRequest) (*ingestv1.RewrapKeysResponse, error) {
	done, current, by, err := s.Rewrap(ctx)
	if err != nil {
		return nil, fmt.Errorf("rewrap keys: %w", err)
	}
	return &ingestv1.RewrapKeysResponse{Rewrapped: done, Current: current, WrappedBy: by}, nil
}

// ExportLead answers all that ingest keeps of a person.
func (s *Server) ExportLead(ctx context.Context, req *ingestv1.ExportLeadRequest) (*ingestv1.ExportLeadResponse, error) {
	if err := possible(req.GetLeadId()); err != nil {
		return nil, err
	}
	e, err := s.Who.Find(ctx, req.GetLeadId()) // all of the person, by whichever id
	if err != nil {
		return nil, fmt.Errorf("export lead: %w", err)
	}
	if e.State.GetErasedAt() != nil {
		return nil, fmt.Errorf("export lead %s: it was erased, see its certificate: %w", req.GetLeadId(), ledger.ErrNotFound)
	}
	resp := &ingestv1.ExportLeadResponse{Lead: e.State.GetLead(), Emails: e.State.GetEmails()}
	seen := map[string]bool{}
	for todo := []string{e.Lead}; len(todo) > 0; todo = todo[1:] {
		if seen[todo[0]] {
			continue
		}
		seen[todo[0]] = true
		more, err := s.exportPart(ctx, todo[0], resp)
		if err != nil {
			return nil, err
		}
		todo = append(todo, more...)
	}
	slices.SortStableFunc(resp.Events, func(a, b *ingestv1.ExportedEvent) int {
		return a.GetRecordedAt().AsTime().Compare(b.GetRecordedAt().AsTime())
	})
	return resp, nil
}

// exportPart adds the history of one lead and lists those merged into it.
func (s *Server) exportPart(ctx context.Context, lead string, resp *ingestv1.ExportLeadResponse) (merged []string, err error) {
	history, err := s.Ledger.History(ctx, lead)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("export lead: %w", err)
	}
	resp.LeadIds = append(resp.LeadIds, lead)
	for _, e := range history {
		at := e.State.GetLead().GetUpdatedAt()
		if n := len(e.Record.GetCauses()); n > 0 {
			at = timestamppb.New(e.Record.GetCauses()[n-1].GetNow().AsTime())
		}
		for _, raw := range e.Record.GetEvents() {
			event := &ingestv1.Event{}
			if err := proto.Unmarshal(raw, event); err != nil {
				return nil, fmt.Errorf("decode event of record %d: %w", e.Seq, err)
			}
			resp.Events = append(resp.Events, &ingestv1.ExportedEvent{LeadId: lead, RecordedAt: at, Event: event})
		}
		merged = e.State.GetMergedFrom()
	}
	return merged, nil
}
