package witness

import (
	"context"
	"fmt"
	"slices"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/rpc"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// Services are the gRPC addresses of the four.
type Services struct{ Ingest, Scoring, Campaign, Handoff string }

// batch is how many leads are asked for in one call.
const batch = 500

// Ask asks the services for every lead that has a digest, in the way that may
// be answered from the cache, and tells what they say. when names the state
// the cache is in.
func (s Services) Ask(ctx context.Context, facts []torture.Fact, when string) ([]torture.Fact, error) {
	leads := map[string][]string{}
	for _, f := range facts {
		if f.Kind == torture.Digest {
			leads[f.Stream] = append(leads[f.Stream], f.Lead)
		}
	}
	var said []torture.Fact
	for _, q := range []struct {
		stream, addr string
		ask          func(ctx context.Context, addr string, ids []string) (map[string]string, error)
	}{
		{bus.Leads, s.Ingest, askLeads}, {bus.Scores, s.Scoring, askScores},
		{bus.Campaign, s.Campaign, askEnrollments}, {bus.Handoff, s.Handoff, askHandoffs},
	} {
		for ids := range slices.Chunk(leads[q.stream], batch) {
			answers, err := q.ask(ctx, q.addr, ids)
			if err != nil {
				return nil, fmt.Errorf("ask about %s (%s): %w", q.stream, when, err)
			}
			for _, id := range ids {
				said = append(said, torture.Fact{Stream: q.stream, Lead: id, Kind: torture.Read, Ref: when, Hash: answers[id]})
			}
		}
	}
	return said, nil
}

func askLeads(ctx context.Context, addr string, ids []string) (map[string]string, error) {
	conn, err := rpc.Dial(addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	resp, err := ingestv1.NewIngestServiceClient(conn).BatchGetLeads(ctx, &ingestv1.BatchGetLeadsRequest{LeadIds: ids})
	said := map[string]string{}
	for _, l := range resp.GetLeads() {
		said[l.GetLeadId()] = DigestLead(l)
	}
	return said, err
}

func askScores(ctx context.Context, addr string, ids []string) (map[string]string, error) {
	conn, err := rpc.Dial(addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	resp, err := scoringv1.NewScoringServiceClient(conn).BatchGetScores(ctx, &scoringv1.BatchGetScoresRequest{LeadIds: ids})
	said := map[string]string{}
	for _, s := range resp.GetScores() {
		said[s.GetLeadId()] = DigestScore(s)
	}
	return said, err
}

func askEnrollments(ctx context.Context, addr string, ids []string) (map[string]string, error) {
	conn, err := rpc.Dial(addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	resp, err := campaignv1.NewCampaignServiceClient(conn).BatchGetEnrollments(ctx, &campaignv1.BatchGetEnrollmentsRequest{LeadIds: ids})
	said := map[string]string{}
	for _, l := range resp.GetLeads() {
		said[l.GetLeadId()] = DigestEnrollments(l.GetEnrollments())
	}
	return said, err
}

func askHandoffs(ctx context.Context, addr string, ids []string) (map[string]string, error) {
	conn, err := rpc.Dial(addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	resp, err := handoffv1.NewHandoffServiceClient(conn).BatchGetHandoffs(ctx, &handoffv1.BatchGetHandoffsRequest{LeadIds: ids})
	said := map[string]string{}
	for _, h := range resp.GetHandoffs() {
		said[h.GetLeadId()] = DigestHandoff(h)
	}
	return said, err
}
