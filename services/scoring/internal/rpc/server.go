// Package rpc answers what the score of a lead is, now or then, and why. It
// only reads: scores are made by the fold.
package rpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/ledger"
	pkgrpc "github.com/nurturehq/nurture/pkg/rpc"
	"github.com/nurturehq/nurture/services/scoring/internal/model"
	"github.com/nurturehq/nurture/services/scoring/internal/ready"
	"github.com/nurturehq/nurture/services/scoring/internal/score"

	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// Server answers nurture.scoring.v1.ScoringService.
type Server struct {
	scoringv1.UnimplementedScoringServiceServer
	model  *model.Model
	ledger *ledger.Ledger[*scoringv1.State]
	now    func() time.Time
}

// NewServer reads from the ledger and explains with the model.
func NewServer(m *model.Model, l *ledger.Ledger[*scoringv1.State], now func() time.Time) *Server {
	return &Server{model: m, ledger: l, now: now}
}

// GetScore answers the score, faded to this moment.
func (s *Server) GetScore(ctx context.Context, req *scoringv1.GetScoreRequest) (*scoringv1.GetScoreResponse, error) {
	entry, err := s.ledger.Peek(ctx, req.GetLeadId())
	if err != nil {
		return nil, fmt.Errorf("get score of %s: %w", req.GetLeadId(), err)
	}
	score.ReadAt(s.model, entry.State, timestamppb.New(s.now()))
	return &scoringv1.GetScoreResponse{Score: entry.State.GetScore()}, nil
}

// BatchGetScores answers the scores that exist, in the order asked, all faded
// to the same moment.
func (s *Server) BatchGetScores(ctx context.Context, req *scoringv1.BatchGetScoresRequest) (*scoringv1.BatchGetScoresResponse, error) {
	entries, err := s.ledger.BatchGet(ctx, req.GetLeadIds(), false)
	if err != nil {
		return nil, fmt.Errorf("get scores: %w", err)
	}
	at := timestamppb.New(s.now())
	resp := &scoringv1.BatchGetScoresResponse{}
	for _, id := range req.GetLeadIds() {
		entry, ok := entries[id]
		if !ok {
			continue
		}
		score.ReadAt(s.model, entry.State, at)
		resp.Scores = append(resp.Scores, entry.State.GetScore())
	}
	return resp, nil
}

// ExplainScore takes the score apart, as of now or of a moment in the past.
func (s *Server) ExplainScore(ctx context.Context, req *scoringv1.ExplainScoreRequest) (*scoringv1.ExplainScoreResponse, error) {
	at, state := s.now(), (*scoringv1.State)(nil)
	var err error
	if req.GetAsOf() == nil {
		state, err = s.latest(ctx, req.GetLeadId())
	} else if at = req.GetAsOf().AsTime(); at.After(s.now()) {
		err = pkgrpc.Invalid(pkgrpc.Field{Field: "as_of", Message: "must not be in the future"})
	} else {
		state, err = s.asOf(ctx, req.GetLeadId(), at)
	}
	if err != nil {
		return nil, fmt.Errorf("explain score of %s: %w", req.GetLeadId(), err)
	}
	return s.explain(state, at), nil
}

func (s *Server) latest(ctx context.Context, lead string) (*scoringv1.State, error) {
	entry, err := s.ledger.Peek(ctx, lead)
	return entry.State, err
}

// asOf finds the state as it was: that of the last record made until then.
func (s *Server) asOf(ctx context.Context, lead string, at time.Time) (*scoringv1.State, error) {
	history, err := s.ledger.History(ctx, lead)
	if err != nil {
		return nil, err
	}
	var found *scoringv1.State
	for _, entry := range history {
		if entry.State.GetScore().GetAt().AsTime().After(at) {
			break
		}
		found = entry.State
	}
	if found == nil && len(history) > 0 {
		oldest := history[0].State.GetScore().GetAt().AsTime().Format(time.RFC3339Nano)
		return nil, pkgrpc.Mark(fmt.Errorf("nothing is known of it at %s: the oldest record kept is of %s", at.Format(time.RFC3339Nano), oldest), codes.OutOfRange)
	}
	if found == nil {
		return nil, ledger.ErrNotFound
	}
	return found, nil
}

// explain reads a state at a moment. The rules are those of the model that runs
// now; when another one made the score, the verdict says so.
func (s *Server) explain(state *scoringv1.State, at time.Time) *scoringv1.ExplainScoreResponse {
	made := state.GetScore().GetModel()
	score.ReadAt(s.model, state, timestamppb.New(at))
	verdict := ready.Sentence(s.model, state, ready.Decide(s.model, state, at))
	if made != s.model.Version {
		verdict += fmt.Sprintf(" The profile was judged by model %s; points and lines are those of %s.", made, s.model.Version)
	}
	return &scoringv1.ExplainScoreResponse{
		Score: state.GetScore(), Reasons: score.Reasons(s.model, state, at), Verdict: verdict, Corrections: state.GetCorrections(),
	}
}
