package score

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/services/scoring/internal/model"

	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// ReadAt brings the points and the grade of a state to a moment.
func ReadAt(m *model.Model, s *scoringv1.State, at *timestamppb.Timestamp) {
	sc := s.Score
	sc.Fit = Fit(m, s.GetFitRules())
	sc.Behaviour = Behaviour(m, s.GetCounters(), at.AsTime())
	sc.Grade = m.Grade(sc.GetFit(), sc.GetBehaviour())
	sc.At = at
}

// Copy keeps a score as it is now, whatever becomes of the state.
func Copy(s *scoringv1.Score) *scoringv1.Score {
	return &scoringv1.Score{
		LeadId: s.GetLeadId(), Fit: s.GetFit(), Behaviour: s.GetBehaviour(), Grade: s.GetGrade(),
		Qualified: s.GetQualified(), FastTrack: s.GetFastTrack(), Stage: s.GetStage(), Model: s.GetModel(),
		At: s.GetAt(), StageSince: s.GetStageSince(), StageReason: s.GetStageReason(),
	}
}
