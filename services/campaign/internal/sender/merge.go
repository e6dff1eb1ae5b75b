package sender

import (
	"context"

	"github.com/nurturehq/nurture/pkg/ties"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/gate"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
)

// reasonMerging: leads turned out to be this one, and what they got already is
// not known yet.
const reasonMerging = "merge_under_way"

// isOne holds a job back whose lead turned out to be one person with others, so
// that nobody gets a mail twice; it reports whether it did.
func (s *Sender) isOne(ctx context.Context, j *job) bool {
	switch {
	case j.isMerged():
		s.withhold(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED, reason: string(gate.Merged)})
	case !j.knowsAll():
		s.metrics.touch(ctx, "later", reasonMerging)
		j.later = putOff
	case journey.SentBefore(j.state, j.touch):
		s.withhold(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED, reason: string(gate.SentBefore)})
	default:
		return false
	}
	return true
}

// isMerged reports whether the lead turned out to be another one.
func (j *job) isMerged() bool { return j.lead.GetLeadId() != "" && j.lead.GetLeadId() != j.msg.Lead }

// knowsAll reports whether the journey has taken over what those got who turned
// out to be this lead, as far as ingest knows by now.
func (j *job) knowsAll() bool { return ties.Complete(j.state.GetTies(), j.lead.GetMergedFrom()) }
