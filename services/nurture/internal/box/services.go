package box

import (
	"context"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/nurturehq/nurture/pkg/rpc"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
	"github.com/nurturehq/nurture/services/campaign"
	"github.com/nurturehq/nurture/services/handoff"
	"github.com/nurturehq/nurture/services/ingest"
	"github.com/nurturehq/nurture/services/nurture/internal/crmdesk"
	"github.com/nurturehq/nurture/services/scoring"
)

// part is one of the four services, ready to run.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// peers are the gRPC clients the services ask each other with.
type peers struct {
	ingest   ingestv1.IngestServiceClient
	accounts ingestv1.AccountServiceClient
	words    ingestv1.WordsServiceClient
	scoring  scoringv1.ScoringServiceClient
	campaign campaignv1.CampaignServiceClient
	handoff  handoffv1.HandoffServiceClient
}

// openServices puts the four together in the order of the flow. They stop in the
// opposite order: who asks ends before who is asked, and what is still in the
// log waits there.
func (b *Box) openServices() error {
	p, err := b.dial()
	if err != nil {
		return err
	}
	for _, s := range []struct {
		name string
		open func(peers) (func(context.Context) error, error)
	}{
		{"ingest", b.ingest}, {"scoring", b.scoring}, {"campaign", b.campaign}, {"handoff", b.handoff},
	} {
		run, err := s.open(p)
		if err != nil {
			return err
		}
		b.parts = append(b.parts, part{s.name, run})
	}
	return nil
}

// dial opens the connections; they are used once both sides run.
func (b *Box) dial() (p peers, err error) {
	conn := func(door string) *grpc.ClientConn {
		if err != nil {
			return nil
		}
		var c *grpc.ClientConn
		if c, err = rpc.DialAs(b.Addr(door), b.access.Token()); err == nil {
			b.open.Add("connection to "+door, func(context.Context) error { return c.Close() })
		}
		return c
	}
	toIngest := conn(IngestGRPC)
	p = peers{
		ingest:   ingestv1.NewIngestServiceClient(toIngest),
		accounts: ingestv1.NewAccountServiceClient(toIngest),
		words:    ingestv1.NewWordsServiceClient(toIngest),
		scoring:  scoringv1.NewScoringServiceClient(conn(ScoringGRPC)),
		campaign: campaignv1.NewCampaignServiceClient(conn(CampaignGRPC)),
		handoff:  handoffv1.NewHandoffServiceClient(conn(HandoffGRPC)),
	}
	return p, err
}

func (b *Box) ingest(p peers) (func(context.Context) error, error) {
	s, err := ingest.New(b.ingestConfig(), ingest.Deps{
		Bus: b.Bus, Redis: b.redis, Log: b.opts.Log, HTTP: b.doors[IngestHTTP], GRPC: b.doors[IngestGRPC], Access: b.access,
		Handoff: p.handoff,
	})
	if err != nil {
		return nil, err
	}
	return s.Run, nil
}

func (b *Box) scoring(peers) (func(context.Context) error, error) {
	s, err := scoring.New(b.scoringConfig(), scoring.Deps{
		Bus: b.Bus, Redis: b.redis, Log: b.opts.Log, HTTP: b.doors[ScoringHTTP], GRPC: b.doors[ScoringGRPC], Access: b.access,
	})
	if err != nil {
		return nil, err
	}
	return s.Run, nil
}

func (b *Box) campaign(p peers) (func(context.Context) error, error) {
	s, err := campaign.New(b.campaignConfig(), campaign.Deps{
		Bus: b.Bus, Redis: b.redis, Log: b.opts.Log, HTTP: b.doors[CampaignHTTP], GRPC: b.doors[CampaignGRPC], Access: b.access,
		Ingest: p.ingest, Scoring: p.scoring,
	})
	if err != nil {
		return nil, err
	}
	return s.Run, nil
}

func (b *Box) handoff(p peers) (func(context.Context) error, error) {
	s, err := handoff.New(b.handoffConfig(), handoff.Deps{
		Bus: b.Bus, Redis: b.redis, Log: b.opts.Log, HTTP: b.doors[HandoffHTTP], GRPC: b.doors[HandoffGRPC], Access: b.access,
		Ingest: p.ingest, Accounts: p.accounts, Words: p.words, Scoring: p.scoring, Campaign: p.campaign,
	})
	if err != nil {
		return nil, err
	}
	return s.Run, nil
}

// How long opens and clicks wait for their verdict in a box whose time runs
// faster: scaled like every other wait.
const (
	quarantine      = 10 * time.Second
	shortQuarantine = 50 * time.Millisecond
)

func (b *Box) ingestConfig() ingest.Config {
	c := ingest.DefaultConfig()
	c.Sources, c.IdentityKey = filepath.Join(b.opts.Config, "sources.yaml"), b.keys.Identity
	c.DataKey = b.keys.Data
	if file := filepath.Join(b.opts.Config, consentFile); isFile(file) {
		c.Consent = file
	}
	if file := filepath.Join(b.opts.Config, signalsFile); isFile(file) {
		c.Signals = file
	}
	if file := filepath.Join(b.opts.Config, factsFile); isFile(file) {
		c.Facts = file
	}
	if scale := b.opts.TimeScale; scale > 0 && scale < 1 {
		c.Quarantine = max(shortQuarantine, time.Duration(scale*float64(quarantine)))
	}
	return c
}

func (b *Box) scoringConfig() scoring.Config {
	c := scoring.DefaultConfig()
	c.Model = filepath.Join(b.opts.Config, "model.yaml")
	return c
}

func (b *Box) handoffConfig() handoff.Config {
	c := handoff.DefaultConfig()
	c.Routes = filepath.Join(b.opts.Config, "routes.yaml")
	if b.doors == nil {
		return c // only its fold is wanted
	}
	c.Webhook.URL = b.URL(DeskHTTP) + crmdesk.WebhookPath
	c.Webhook.Secrets = []string{b.keys.Webhook}
	c.Webhook.Allow = []string{"127.0.0.0/8"}
	return c
}
