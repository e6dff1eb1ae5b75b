package rpc

import (
	"cmp"
	"context"
	"errors"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/reject"
)

// defaultRejects is how many rejects are listed when nobody says.
const defaultRejects = 100

// ListSources answers what is configured and what was seen of it.
func (s *Server) ListSources(context.Context, *ingestv1.ListSourcesRequest) (*ingestv1.ListSourcesResponse, error) {
	return s.Listed(), nil
}

// TestSource sends a sample through a source.
func (s *Server) TestSource(ctx context.Context, req *ingestv1.TestSourceRequest) (*ingestv1.TestSourceResponse, error) {
	return s.Try(ctx, req)
}

// ListRejects answers what was not taken, without what was sent.
func (s *Server) ListRejects(ctx context.Context, req *ingestv1.ListRejectsRequest) (*ingestv1.ListRejectsResponse, error) {
	limit := cmp.Or(int(req.GetLimit()), defaultRejects)
	resp := &ingestv1.ListRejectsResponse{}
	err := s.Drawer.Rejects(ctx, req.GetSource(), req.GetAfter(), func(m bus.ParkedMsg) bool {
		if !reject.Is(m.Parked) || req.GetReason() != "" && req.GetReason() != m.GetReason() {
			return true
		}
		if resp.More = len(resp.Rejects) == limit; !resp.More {
			resp.Rejects = append(resp.Rejects, summary(m))
		}
		return !resp.More
	})
	return resp, err
}

// summary shows a reject without a person's data.
func summary(m bus.ParkedMsg) *ingestv1.Reject {
	return &ingestv1.Reject{
		RejectId: m.Seq, Source: m.GetSource(), Kind: m.GetKind(), Reason: m.GetReason(), Faults: m.GetFaults(),
		At: m.GetMessageTime(), Bytes: uint64(len(m.GetData())),
		Beginning: reject.Beginning(m.GetData(), m.GetHeaders()[reject.ContentType]),
	}
}

// GetReject answers one with what was sent.
func (s *Server) GetReject(ctx context.Context, req *ingestv1.GetRejectRequest) (*ingestv1.GetRejectResponse, error) {
	m, err := s.rejected(ctx, req.GetRejectId())
	if err != nil {
		return nil, err
	}
	r := summary(m)
	r.Raw, r.About = m.GetData(), m.GetHeaders()
	return &ingestv1.GetRejectResponse{Reject: r}, nil
}

// rejected reads one reject.
func (s *Server) rejected(ctx context.Context, id uint64) (bus.ParkedMsg, error) {
	m, err := s.Drawer.Get(ctx, id)
	if errors.Is(err, bus.ErrNoMessage) || err == nil && !reject.Is(m.Parked) {
		return m, rpc.Mark(reject.ErrUnknown, codes.NotFound)
	}
	return m, err
}

// RedriveReject has one read again.
func (s *Server) RedriveReject(ctx context.Context, req *ingestv1.RedriveRejectRequest) (*ingestv1.RedriveRejectResponse, error) {
	return s.Redrive(ctx, req.GetRejectId())
}

// DismissReject takes one off the list for good.
func (s *Server) DismissReject(ctx context.Context, req *ingestv1.DismissRejectRequest) (*ingestv1.DismissRejectResponse, error) {
	if _, err := s.rejected(ctx, req.GetRejectId()); err != nil {
		return nil, err
	}
	return &ingestv1.DismissRejectResponse{}, s.Bus.Dismiss(ctx, req.GetRejectId())
}
