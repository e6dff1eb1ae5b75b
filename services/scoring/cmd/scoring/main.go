// Command scoring runs the service of that name by itself.
package main

import (
	"context"
	"os"

	"github.com/nurturehq/nurture/pkg/config"
	"github.com/nurturehq/nurture/pkg/daemon"
	"github.com/nurturehq/nurture/pkg/standalone"

	"github.com/nurturehq/nurture/services/scoring"
)

// settings are everything this process can be told.
type settings struct {
	standalone.Settings `yaml:",inline"`

	Scoring scoring.Config `yaml:"scoring"`
}

func main() { os.Exit(daemon.Run(context.Background(), run)) }

func run(ctx context.Context) error {
	set := settings{Settings: standalone.Defaults("127.0.0.1:8081", "127.0.0.1:9081"), Scoring: scoring.DefaultConfig()}
	if err := config.Load(&set, config.Options{Args: os.Args[1:]}); err != nil {
		return err
	}
	return standalone.Run(ctx, "scoring", set.Settings, func(p *standalone.Process) error {
		svc, err := scoring.New(set.Scoring, scoring.Deps{Log: p.Log, Access: p.Access, Bus: p.Bus, Redis: p.Redis, HTTP: p.HTTP, GRPC: p.GRPC})
		if err != nil {
			return err
		}
		return svc.Run(ctx)
	})
}
