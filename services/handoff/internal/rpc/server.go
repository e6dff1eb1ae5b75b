// Package rpc is how sales answers: the gRPC service of handoff. Every call
// that changes something is a command to the ledger and answers after the
// change is durable.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/rpc"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/crm"
	"github.com/nurturehq/nurture/services/handoff/internal/desk"
	"github.com/nurturehq/nurture/services/handoff/internal/dossier"
	"github.com/nurturehq/nurture/services/handoff/internal/feed"
)

// Commands by the name their causes carry.
const (
	CmdAccept        = "accept"
	CmdReject        = "reject"
	CmdRecycle       = "recycle"
	CmdRecordOutcome = "record_outcome"
	CmdRedeliver     = crm.KindRedeliver
)

// Server answers HandoffService.
type Server struct {
	handoffv1.UnimplementedHandoffServiceServer
	ledger  *ledger.Ledger[*handoffv1.State]
	words   feed.Words
	collect func(ctx context.Context, h *handoffv1.Handoff) dossier.Parts
}

// NewServer makes a server. words seals and opens what sales writes, collect asks
// for the evidence of a dossier.
func NewServer(l *ledger.Ledger[*handoffv1.State], words feed.Words, collect func(context.Context, *handoffv1.Handoff) dossier.Parts) *Server {
	return &Server{ledger: l, words: words, collect: collect}
}

// request is what all commands have.
type request interface {
	proto.Message
	GetLeadId() string
	GetRequestId() string
}

// update applies a command; a request id seen before changes nothing.
func (s *Server) update(ctx context.Context, kind string, req request) (*handoffv1.Handoff, error) {
	lead, err := req.GetLeadId(), error(nil)
	if kind != CmdRedeliver { // deliveries stay where they are
		if lead, err = s.survivor(ctx, lead); err != nil {
			return nil, mark(err)
		}
	}
	kept, err := s.keep(ctx, lead, req)
	if err != nil {
		return nil, mark(err)
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	cmd := ledger.Command{Kind: kind, Data: raw}
	if req.GetRequestId() != "" {
		cmd.ID = kind + ":" + req.GetRequestId()
	}
	res, err := s.ledger.Update(ctx, lead, cmd)
	if err != nil {
		return nil, mark(err)
	}
	return s.show(ctx, res.State.GetHandoff()), nil
}

// maxHops bounds how often a merged lead is followed.
const maxHops = 12

// survivor is the lead that a lead turned out to be; itself when it is nobody
// else. One that cannot be read is told so by the command. The error is
// desk.ErrMerging while the survivor has not heard of it.
func (s *Server) survivor(ctx context.Context, asked string) (string, error) {
	lead := asked
	for range maxHops {
		e, err := s.ledger.Get(ctx, lead)
		into := e.State.GetTies().GetIntoLeadId()
		switch {
		case err == nil && into != "":
			lead = into
		case lead != asked && (err == nil || errors.Is(err, ledger.ErrNotFound)) && !slices.Contains(e.State.GetTies().GetFromLeadIds(), asked):
			return "", desk.ErrMerging
		default:
			return lead, nil
		}
	}
	return lead, nil
}

// mark gives the desk's errors their status.
func mark(err error) error {
	switch {
	case errors.Is(err, desk.ErrMerging), errors.Is(err, feed.ErrNotSealed):
		return rpc.RetryAfter(err, codes.Unavailable, time.Second)
	case errors.Is(err, desk.ErrWrongState):
		return rpc.Mark(err, codes.FailedPrecondition)
	case errors.Is(err, desk.ErrNoHandoff), errors.Is(err, desk.ErrUnknownDelivery), errors.Is(err, feed.ErrForgotten):
		return rpc.Mark(err, codes.NotFound)
	case errors.Is(err, desk.ErrBadReason):
		return rpc.Mark(err, codes.InvalidArgument)
	default:
		return err
	}
}

// Accept is the rep taking the lead.
func (s *Server) Accept(ctx context.Context, r *handoffv1.AcceptRequest) (*handoffv1.AcceptResponse, error) {
	h, err := s.update(ctx, CmdAccept, r)
	if err != nil {
		return nil, err
	}
	return &handoffv1.AcceptResponse{Handoff: h}, nil
}

// Reject is the rep giving the lead back, with a reason.
func (s *Server) Reject(ctx context.Context, r *handoffv1.RejectRequest) (*handoffv1.RejectResponse, error) {
	h, err := s.update(ctx, CmdReject, r)
	if err != nil {
		return nil, err
	}
	return &handoffv1.RejectResponse{Handoff: h}, nil
}

// Recycle sends a lead that sales took back to nurture.
func (s *Server) Recycle(ctx context.Context, r *handoffv1.RecycleRequest) (*handoffv1.RecycleResponse, error) {
	h, err := s.update(ctx, CmdRecycle, r)
	if err != nil {
		return nil, err
	}
	return &handoffv1.RecycleResponse{Handoff: h}, nil
}

// RecordOutcome is sales telling how the opportunity goes.
func (s *Server) RecordOutcome(ctx context.Context, r *handoffv1.RecordOutcomeRequest) (*handoffv1.RecordOutcomeResponse, error) {
	h, err := s.update(ctx, CmdRecordOutcome, r)
	if err != nil {
		return nil, err
	}
	return &handoffv1.RecordOutcomeResponse{Handoff: h}, nil
}

// Redeliver sends a parked delivery again.
func (s *Server) Redeliver(ctx context.Context, r *handoffv1.RedeliverRequest) (*handoffv1.RedeliverResponse, error) {
	h, err := s.update(ctx, CmdRedeliver, r)
	if err != nil {
		return nil, err
	}
	return &handoffv1.RedeliverResponse{Handoff: h}, nil
}

// GetHandoff answers a lead's current stay with sales.
func (s *Server) GetHandoff(ctx context.Context, r *handoffv1.GetHandoffRequest) (*handoffv1.GetHandoffResponse, error) {
	h, err := s.get(ctx, r.GetLeadId())
	if err != nil {
		return nil, err
	}
	return &handoffv1.GetHandoffResponse{Handoff: s.show(ctx, h)}, nil
}

func (s *Server) get(ctx context.Context, lead string) (*handoffv1.Handoff, error) {
	e, err := s.ledger.Get(ctx, lead)
	if errors.Is(err, ledger.ErrNotFound) || (err == nil && e.State.GetHandoff() == nil) {
		return nil, rpc.Mark(desk.ErrNoHandoff, codes.NotFound)
	}
	if err != nil {
		return nil, err
	}
	return e.State.GetHandoff(), nil
}

// BatchGetHandoffs answers the handoffs that exist, in the order asked.
func (s *Server) BatchGetHandoffs(ctx context.Context, r *handoffv1.BatchGetHandoffsRequest) (*handoffv1.BatchGetHandoffsResponse, error) {
	found, err := s.ledger.BatchGet(ctx, r.GetLeadIds(), false)
	if err != nil {
		return nil, err
	}
	var stays []*handoffv1.Handoff
	for _, lead := range r.GetLeadIds() {
		if h := found[lead].State.GetHandoff(); h != nil {
			stays = append(stays, h)
		}
	}
	return &handoffv1.BatchGetHandoffsResponse{Handoffs: s.showAll(ctx, stays)}, nil
}

// GetDossier assembles the evidence pack as it would be delivered now.
func (s *Server) GetDossier(ctx context.Context, r *handoffv1.GetDossierRequest) (*handoffv1.GetDossierResponse, error) {
	h, err := s.get(ctx, r.GetLeadId())
	if err != nil {
		return nil, err
	}
	return &handoffv1.GetDossierResponse{Dossier: dossier.Assemble(s.collect(ctx, h))}, nil
}
