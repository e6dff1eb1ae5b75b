package rpc

import (
	"context"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// TakeReturn reads a mail that came back and records what it says.
func (s *Server) TakeReturn(ctx context.Context, req *ingestv1.TakeReturnRequest) (*ingestv1.TakeReturnResponse, error) {
	return s.Deps.TakeReturn(ctx, req)
}
