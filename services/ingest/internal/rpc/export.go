package rpc

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// ExportLeads answers every lead there is. One that is merged into another one is
// part of that one, and of one that was erased there is nothing to tell.
func (s *Server) ExportLeads(_ *ingestv1.ExportLeadsRequest, stream grpc.ServerStreamingServer[ingestv1.ExportLeadsResponse]) error {
	for e, err := range s.Ledger.All(stream.Context()) {
		if err != nil {
			return fmt.Errorf("export leads: %w", err)
		}
		if e.State.GetLead().GetLeadId() == "" || e.State.GetMergedInto() != nil || e.State.GetErasedAt() != nil {
			continue
		}
		if err := stream.Send(&ingestv1.ExportLeadsResponse{Lead: e.State.GetLead()}); err != nil {
			return fmt.Errorf("send lead: %w", err)
		}
	}
	return nil
}

// ExportEvents answers every fact that was recorded, in the order of the log.
func (s *Server) ExportEvents(req *ingestv1.ExportEventsRequest, stream grpc.ServerStreamingServer[ingestv1.ExportEventsResponse]) error {
	for e, err := range s.Ledger.Log(stream.Context()) {
		if err != nil {
			return fmt.Errorf("export events: %w", err)
		}
		events, err := factsOf(e, req.GetSince())
		if err != nil {
			return err
		}
		for _, event := range events {
			if err := stream.Send(event); err != nil {
				return fmt.Errorf("send event: %w", err)
			}
		}
	}
	return nil
}

// factsOf lists a record's events with the time each was recorded, from since on.
func factsOf(e ledger.Entry[*ingestv1.State], since *timestamppb.Timestamp) ([]*ingestv1.ExportEventsResponse, error) {
	var list []*ingestv1.ExportEventsResponse
	raw := e.Record.GetEvents()
	for _, c := range e.Record.GetCauses() {
		n := min(int(c.GetEvents()), len(raw))
		own := raw[:n]
		raw = raw[n:]
		if since != nil && c.GetNow().AsTime().Before(since.AsTime()) {
			continue
		}
		for _, data := range own {
			event := &ingestv1.Event{}
			if err := proto.Unmarshal(data, event); err != nil {
				return nil, fmt.Errorf("decode event of record %d: %w", e.Seq, err)
			}
			list = append(list, &ingestv1.ExportEventsResponse{LeadId: e.Lead, Seq: e.Seq, RecordedAt: c.GetNow(), Event: event})
		}
	}
	return list, nil
}
