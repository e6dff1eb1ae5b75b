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

// Service is one process that can be asked.
type Service struct{ Name, GRPC string }

// batch is how many leads are asked for in one call.
const batch = 500

// asker asks one service for leads and sums up what it says of each.
type asker func(ctx context.Context, addr string, ids []string) (map[string]string, error)

// Ask asks a service for every lead that has a digest in its stream, in the way
// that may be answered from the cache, and tells what it says. when names the
// state the cache is in.
func Ask(ctx context.Context, s Service, facts []torture.Fact, when string) ([]torture.Fact, error) {
	known := map[string]struct {
		stream string
		ask    asker
	}{
		"ingest": {bus.Leads, askLeads}, "scoring": {bus.Scores, askScores},
		"campaign": {bus.Campaign, askEnrollments}, "handoff": {bus.Handoff, askHandoffs},
	}
	q, ok := known[s.Name]
	if !ok {
		return nil, fmt.Errorf("nobody can ask %q", s.Name)
	}
	var leads []string
	for _, f := range facts {
		if f.Kind == torture.Digest && f.Stream == q.stream {
			leads = append(leads, f.Lead)
		}
	}
	var said []torture.Fact
	for ids := range slices.Chunk(leads, batch) {
		answers, err := q.ask(ctx, s.GRPC, ids)
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", when, err)
		}
		for _, id := range ids {
			said = append(said, torture.Fact{Stream: q.stream, Lead: id, Kind: torture.Read, Ref: when, Hash: answers[id]})
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
