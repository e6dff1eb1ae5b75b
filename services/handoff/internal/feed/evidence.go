// Package feed is how handoff learns what others know: the evidence for a
// dossier, asked of the other services, and the board of who in sales has
// which lead, followed from handoff's own log.
package feed

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/dossier"
)

// Evidence asks the other services for the parts of a dossier.
type Evidence struct {
	Ingest ingestv1.IngestServiceClient
	// Accounts is nil where nobody knows of any.
	Accounts ingestv1.AccountServiceClient
	Words    Words
	Scoring  scoringv1.ScoringServiceClient
	Campaign campaignv1.CampaignServiceClient
	Log      *slog.Logger
	// Within bounds the questions: what is not there then is missing. For the lead
	// itself it is leadPatience times as long.
	Within time.Duration
}

// leadPatience: a dossier that does not say who the lead is helps nobody, so while
// a busy ingest is slow that part is waited for longer.
const leadPatience = 6

// Collect asks all at once and waits for the slowest, at most Within, and longer
// only for the lead. It never fails: a part that cannot be had is named as missing.
func (e Evidence) Collect(ctx context.Context, h *handoffv1.Handoff) dossier.Parts {
	patient, end := context.WithTimeout(ctx, leadPatience*e.Within)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, e.Within)
	defer cancel()
	parts, lead := dossier.Parts{Handoff: h}, h.GetLeadId()
	q := questions{evidence: e, lead: lead}
	if len(h.GetSealedText()) > 0 {
		q.ask(ctx, []string{dossier.PartText}, true, func(ctx context.Context) error {
			shown, err := e.Words.withText(ctx, h)
			if err == nil {
				parts.Handoff = shown
			}
			return err
		})
	}
	q.ask(patient, []string{dossier.PartLead}, true, func(ctx context.Context) error {
		// Not from the log: a read of it waits behind the commits of a busy stream.
		r, err := e.Ingest.BatchGetLeads(ctx, &ingestv1.BatchGetLeadsRequest{LeadIds: []string{lead}})
		if err == nil && len(r.GetLeads()) == 0 {
			return status.Error(codes.NotFound, "ingest does not know the lead")
		}
		if err == nil {
			parts.Lead = r.GetLeads()[0]
			e.company(ctx, &q, &parts)
		}
		return err
	})
	q.ask(ctx, []string{dossier.PartTimeline}, true, func(ctx context.Context) error {
		r, err := e.Ingest.ListActivities(ctx, &ingestv1.ListActivitiesRequest{LeadId: lead, Limit: dossier.MaxTimeline})
		parts.Timeline = r.GetActivities()
		return err
	})
	q.ask(ctx, []string{dossier.PartScore}, true, func(ctx context.Context) error {
		r, err := e.Scoring.ExplainScore(ctx, &scoringv1.ExplainScoreRequest{LeadId: lead})
		if err == nil {
			parts.Score = r
		}
		return err
	})
	q.ask(ctx, []string{dossier.PartPrograms, dossier.PartTouches}, false, func(ctx context.Context) error {
		r, err := e.Campaign.ListEnrollments(ctx, &campaignv1.ListEnrollmentsRequest{LeadId: lead, WithTouches: true})
		parts.Programs, parts.Touches = r.GetEnrollments(), r.GetTouches()
		return err
	})
	parts.Missing = q.wait()
	return parts
}

// company asks about the account of the lead, once it is known which.
func (e Evidence) company(ctx context.Context, q *questions, parts *dossier.Parts) {
	account := parts.Lead.GetAccountId()
	if account == "" || e.Accounts == nil {
		return
	}
	q.ask(ctx, []string{dossier.PartAccount}, false, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, e.Within)
		defer cancel()
		r, err := e.Accounts.GetAccount(ctx, &ingestv1.GetAccountRequest{AccountId: account, PageSize: 1})
		parts.Account = r
		return err
	})
}

// questions are under way at once.
type questions struct {
	evidence Evidence
	lead     string
	all      sync.WaitGroup
	mu       sync.Mutex
	missing  []string
}

// ask starts one question about some parts. must says that "not found" means
// missing, and not that there is nothing.
func (q *questions) ask(ctx context.Context, about []string, must bool, question func(context.Context) error) {
	q.all.Go(func() {
		err := question(ctx)
		if err == nil || (!must && status.Code(err) == codes.NotFound) {
			return
		}
		q.evidence.Log.Warn("dossier part is missing", "lead_id", q.lead, "parts", about, "error", err)
		q.mu.Lock()
		defer q.mu.Unlock()
		q.missing = append(q.missing, about...)
	})
}

func (q *questions) wait() []string {
	q.all.Wait()
	slices.Sort(q.missing)
	return q.missing
}
