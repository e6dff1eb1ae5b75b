// Command ingest runs the service of that name by itself.
package main

import (
	"context"
	"os"

	"github.com/nurturehq/nurture/pkg/config"
	"github.com/nurturehq/nurture/pkg/daemon"
	"github.com/nurturehq/nurture/pkg/standalone"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"

	"github.com/nurturehq/nurture/services/ingest"
)

// settings are everything this process can be told.
type settings struct {
	standalone.Settings `yaml:",inline"`

	Handoff string        `yaml:"handoff_addr" help:"gRPC of handoff, which is told what CRMs say; empty: no source may be of kind crm"`
	Ingest  ingest.Config `yaml:"ingest"`
}

func main() { os.Exit(daemon.Run(context.Background(), run)) }

func run(ctx context.Context) error {
	set := settings{
		Settings: standalone.Defaults("127.0.0.1:8080", "127.0.0.1:9080"),
		Handoff:  "127.0.0.1:9083", Ingest: ingest.DefaultConfig(),
	}
	if err := config.Load(&set, config.Options{Args: os.Args[1:]}); err != nil {
		return err
	}
	return standalone.Run(ctx, "ingest", set.Settings, func(p *standalone.Process) error {
		deps := ingest.Deps{Log: p.Log, Access: p.Access, Bus: p.Bus, Redis: p.Redis, HTTP: p.HTTP, GRPC: p.GRPC}
		if set.Handoff != "" {
			handoff, err := p.Dial("handoff", set.Handoff)
			if err != nil {
				return err
			}
			deps.Handoff = handoffv1.NewHandoffServiceClient(handoff)
		}
		if addr := set.Ingest.Bounces.Addr; addr != "" {
			var err error
			if deps.SMTP, err = p.Listen(ctx, addr, "ingest.bounces.addr"); err != nil {
				return err
			}
		}
		svc, err := ingest.New(set.Ingest, deps)
		if err != nil {
			return err
		}
		return svc.Run(ctx)
	})
}
