// Command handoff runs the service of that name by itself.
package main

import (
	"context"
	"os"

	"github.com/nurturehq/nurture/pkg/config"
	"github.com/nurturehq/nurture/pkg/daemon"
	"github.com/nurturehq/nurture/pkg/standalone"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/handoff"
)

// settings are everything this process can be told.
type settings struct {
	standalone.Settings `yaml:",inline"`

	Ingest   string         `yaml:"ingest_addr" help:"gRPC of ingest"`
	Scoring  string         `yaml:"scoring_addr" help:"gRPC of scoring"`
	Campaign string         `yaml:"campaign_addr" help:"gRPC of campaign"`
	Handoff  handoff.Config `yaml:"handoff"`
}

func main() { os.Exit(daemon.Run(context.Background(), run)) }

func run(ctx context.Context) error {
	set := settings{
		Settings: standalone.Defaults("127.0.0.1:8083", "127.0.0.1:9083"),
		Ingest:   "127.0.0.1:9080", Scoring: "127.0.0.1:9081", Campaign: "127.0.0.1:9082", Handoff: handoff.DefaultConfig(),
	}
	if err := config.Load(&set, config.Options{Args: os.Args[1:]}); err != nil {
		return err
	}
	return standalone.Run(ctx, "handoff", set.Settings, func(p *standalone.Process) error {
		deps := handoff.Deps{Log: p.Log, Access: p.Access, Bus: p.Bus, Redis: p.Redis, HTTP: p.HTTP, GRPC: p.GRPC}
		if err := dial(p, set, &deps); err != nil {
			return err
		}
		svc, err := handoff.New(set.Handoff, deps)
		if err != nil {
			return err
		}
		return svc.Run(ctx)
	})
}

// dial opens the clients of the services that handoff asks.
func dial(p *standalone.Process, set settings, deps *handoff.Deps) error {
	ingest, err := p.Dial("ingest", set.Ingest)
	if err != nil {
		return err
	}
	scoring, err := p.Dial("scoring", set.Scoring)
	if err != nil {
		return err
	}
	campaign, err := p.Dial("campaign", set.Campaign)
	if err != nil {
		return err
	}
	deps.Ingest, deps.Accounts, deps.Words = ingestv1.NewIngestServiceClient(ingest), ingestv1.NewAccountServiceClient(ingest), ingestv1.NewWordsServiceClient(ingest)
	deps.Scoring = scoringv1.NewScoringServiceClient(scoring)
	deps.Campaign = campaignv1.NewCampaignServiceClient(campaign)
	return nil
}
