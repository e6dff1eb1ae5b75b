package leadview

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/pkg/bus"
)

// leadPart: who the lead is, without saying who.
func leadPart(owner Ingest) part {
	return part{
		stream: bus.Leads,
		read: func(raw []byte, view *leadv1.View) error {
			state := &ingestv1.State{}
			if err := proto.Unmarshal(raw, state); err != nil {
				return err
			}
			if state.GetMergedInto() == nil { // who turned out to be another one is nobody any more
				view.Lead = state.GetLead().GetFacts()
			}
			return nil
		},
		ask: func(ctx context.Context, ids []string, views map[string]*leadv1.View) error {
			resp, err := owner.BatchGetLeads(ctx, &ingestv1.BatchGetLeadsRequest{LeadIds: ids, FactsOnly: true})
			if err != nil {
				return fmt.Errorf("ask ingest for %d leads: %w", len(ids), err)
			}
			for _, lead := range resp.GetLeads() {
				if view, ok := views[lead.GetLeadId()]; ok {
					view.Lead = lead.GetFacts()
				}
			}
			return nil
		},
	}
}

// scorePart: how ready it is, and its stage.
func scorePart(owner Scoring) part {
	put := func(score *scoringv1.Score, view *leadv1.View) {
		view.Stage = score.GetStage()
		view.Score = &leadv1.ScoreFacts{
			Fit: score.GetFit(), Behaviour: score.GetBehaviour(), Grade: score.GetGrade(),
			Qualified: score.GetQualified(), FastTrack: score.GetFastTrack(),
		}
	}
	return part{
		stream: bus.Scores,
		read: func(raw []byte, view *leadv1.View) error {
			state := &scoringv1.State{}
			if err := proto.Unmarshal(raw, state); err != nil {
				return err
			}
			put(state.GetScore(), view)
			return nil
		},
		ask: func(ctx context.Context, ids []string, views map[string]*leadv1.View) error {
			resp, err := owner.BatchGetScores(ctx, &scoringv1.BatchGetScoresRequest{LeadIds: ids})
			if err != nil {
				return fmt.Errorf("ask scoring for %d leads: %w", len(ids), err)
			}
			for _, score := range resp.GetScores() {
				if view, ok := views[score.GetLeadId()]; ok {
					put(score, view)
				}
			}
			return nil
		},
	}
}

// programPart: the programs it is in now.
func programPart(owner Campaign) part {
	put := func(enrollments []*campaignv1.Enrollment, view *leadv1.View) {
		view.Programs = nil
		for _, e := range enrollments {
			if e.GetStatus() == campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE {
				view.Programs = append(view.Programs, e.GetProgram())
			}
		}
	}
	return part{
		stream: bus.Campaign,
		read: func(raw []byte, view *leadv1.View) error {
			state := &campaignv1.State{}
			if err := proto.Unmarshal(raw, state); err != nil {
				return err
			}
			put(state.GetEnrollments(), view)
			return nil
		},
		ask: func(ctx context.Context, ids []string, views map[string]*leadv1.View) error {
			resp, err := owner.BatchGetEnrollments(ctx, &campaignv1.BatchGetEnrollmentsRequest{LeadIds: ids})
			if err != nil {
				return fmt.Errorf("ask campaign for %d leads: %w", len(ids), err)
			}
			for _, lead := range resp.GetLeads() {
				if view, ok := views[lead.GetLeadId()]; ok {
					put(lead.GetEnrollments(), view)
				}
			}
			return nil
		},
	}
}
