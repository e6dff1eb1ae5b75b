// Command campaign runs the service of that name by itself.
package main

import (
	"context"
	"os"

	"github.com/nurturehq/nurture/pkg/config"
	"github.com/nurturehq/nurture/pkg/daemon"
	"github.com/nurturehq/nurture/pkg/standalone"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/campaign"
)

// settings are everything this process can be told.
type settings struct {
	standalone.Settings `yaml:",inline"`

	Ingest   string          `yaml:"ingest_addr" help:"gRPC of ingest"`
	Scoring  string          `yaml:"scoring_addr" help:"gRPC of scoring"`
	Campaign campaign.Config `yaml:"campaign"`
}

func main() { os.Exit(daemon.Run(context.Background(), run)) }

func run(ctx context.Context) error {
	set := settings{
		Settings: standalone.Defaults("127.0.0.1:8082", "127.0.0.1:9082"),
		Ingest:   "127.0.0.1:9080", Scoring: "127.0.0.1:9081", Campaign: campaign.DefaultConfig(),
	}
	if err := config.Load(&set, config.Options{Args: os.Args[1:]}); err != nil {
		return err
	}
	return standalone.Run(ctx, "campaign", set.Settings, func(p *standalone.Process) error {
		ingest, err := p.Dial("ingest", set.Ingest)
		if err != nil {
			return err
		}
		scoring, err := p.Dial("scoring", set.Scoring)
		if err != nil {
			return err
		}
		svc, err := campaign.New(set.Campaign, campaign.Deps{
			Log: p.Log, Access: p.Access, Bus: p.Bus, Redis: p.Redis, HTTP: p.HTTP, GRPC: p.GRPC,
			Ingest: ingestv1.NewIngestServiceClient(ingest), Scoring: scoringv1.NewScoringServiceClient(scoring),
		})
		if err != nil {
			return err
		}
		return svc.Run(ctx)
	})
}
