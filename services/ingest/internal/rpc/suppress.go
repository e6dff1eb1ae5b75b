package rpc

import (
	"cmp"
	"context"
	"errors"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// SuppressionList is the list of addresses that get no mail.
type SuppressionList interface {
	// Look reads what it says about normalised addresses, also lifted entries.
	Look(ctx context.Context, emails []string) (map[string]*ingestv1.SuppressionEntry, error)
	// Suppress adds addresses; invalid are the places of what is no address.
	Suppress(ctx context.Context, emails []string, e *ingestv1.SuppressionEntry) (added int, invalid []uint32, err error)
	// Lift takes an address off, if allowed says so of its entry.
	Lift(ctx context.Context, email string, by *ingestv1.SuppressionEntry, allowed func(*ingestv1.SuppressionEntry) error) (bool, error)
	List(ctx context.Context, after uint64, limit int) ([]*ingestv1.ListedSuppression, uint64, error)
}

// AddSuppressions forbids mails to addresses.
func (s *Server) AddSuppressions(ctx context.Context, req *ingestv1.AddSuppressionsRequest) (*ingestv1.AddSuppressionsResponse, error) {
	added, bad, err := s.Suppressed.Suppress(ctx, req.GetEmails(), &ingestv1.SuppressionEntry{
		Reason: req.GetReason(), At: req.GetAt(), Source: cmp.Or(req.GetSource(), api), By: req.GetBy(), Note: req.GetNote(),
	})
	if err != nil {
		return nil, err
	}
	return &ingestv1.AddSuppressionsResponse{
		Added: uint32(added), Known: uint32(len(req.GetEmails()) - len(bad) - added), Invalid: bad, //nolint:gosec // at most 1000
	}, nil
}

// RemoveSuppression lifts a suppression.
func (s *Server) RemoveSuppression(ctx context.Context, req *ingestv1.RemoveSuppressionRequest) (*ingestv1.RemoveSuppressionResponse, error) {
	removed, err := s.Suppressed.Lift(ctx, req.GetEmail(), &ingestv1.SuppressionEntry{Source: api, By: req.GetBy(), Note: req.GetNote()},
		func(have *ingestv1.SuppressionEntry) error {
			if have.GetReason() == leadv1.Suppression_SUPPRESSION_COMPLAINT && !req.GetForce() {
				return rpc.Mark(errComplained, codes.FailedPrecondition)
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	return &ingestv1.RemoveSuppressionResponse{Removed: removed}, nil
}

var errComplained = errors.New("this person complained about our mails; set force to lift it all the same")

// CheckSuppression says whether an address is on the list.
func (s *Server) CheckSuppression(ctx context.Context, req *ingestv1.CheckSuppressionRequest) (*ingestv1.CheckSuppressionResponse, error) {
	email, err := normal.Email(req.GetEmail())
	if err != nil {
		return nil, invalid([]normal.Fault{{Field: "email", Message: err.Error()}})
	}
	found, err := s.Suppressed.Look(ctx, []string{email})
	if err != nil {
		return nil, err
	}
	e := found[email]
	return &ingestv1.CheckSuppressionResponse{Suppressed: e != nil && !e.GetLifted(), Entry: e}, nil
}

// defaultSuppressions is how many entries are listed when nobody says.
const defaultSuppressions = 100

// ListSuppressions answers the list in the order of its latest changes.
func (s *Server) ListSuppressions(ctx context.Context, req *ingestv1.ListSuppressionsRequest) (*ingestv1.ListSuppressionsResponse, error) {
	list, next, err := s.Suppressed.List(ctx, req.GetAfter(), cmp.Or(int(req.GetLimit()), defaultSuppressions))
	if err != nil {
		return nil, err
	}
	return &ingestv1.ListSuppressionsResponse{Suppressions: list, Next: next}, nil
}
