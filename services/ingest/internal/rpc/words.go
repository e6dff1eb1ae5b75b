package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/store/vault"
)

// WordsServer seals and opens words that other services keep.
type WordsServer struct {
	ingestv1.UnimplementedWordsServiceServer
	vault *vault.Vault
}

// NewWords makes a server.
func NewWords(v *vault.Vault) *WordsServer { return &WordsServer{vault: v} }

// SealWords seals words about a lead under its data key.
func (s *WordsServer) SealWords(ctx context.Context, req *ingestv1.SealWordsRequest) (*ingestv1.SealWordsResponse, error) {
	if err := possible(req.GetLeadId()); err != nil {
		return nil, err
	}
	sealed, err := s.vault.SealWords(ctx, req.GetLeadId(), req.GetWords())
	if err != nil {
		return nil, err
	}
	return &ingestv1.SealWordsResponse{Sealed: sealed}, nil
}

// OpenWords opens what SealWords made.
func (s *WordsServer) OpenWords(ctx context.Context, req *ingestv1.OpenWordsRequest) (*ingestv1.OpenWordsResponse, error) {
	words, err := s.vault.OpenWords(ctx, req.GetSealed())
	if errors.Is(err, vault.ErrNotWords) {
		return nil, rpc.Mark(err, codes.InvalidArgument)
	}
	if err != nil {
		return nil, err
	}
	return &ingestv1.OpenWordsResponse{Words: words}, nil
}
