package bench

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/nurturehq/nurture/pkg/rpc"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
	"github.com/nurturehq/nurture/services/campaign"
	"github.com/nurturehq/nurture/services/handoff"
	"github.com/nurturehq/nurture/services/scoring"
)

// platform is the four services on one rig, each with its own connection.
type platform struct {
	*rig
	config string
	// ingestURL takes the events.
	ingestURL string
	ingest    ingestv1.IngestServiceClient
	accounts  ingestv1.AccountServiceClient
	words     ingestv1.WordsServiceClient
	scoring   scoringv1.ScoringServiceClient
	campaign  campaignv1.CampaignServiceClient
}

// webhookSecret signs the bench's webhooks; nobody else has to know it.
const webhookSecret = "whsec_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2g=" //nolint:gosec // it protects nothing

func newPlatform(ctx context.Context, config string) (*platform, error) {
	r, err := newRig(ctx)
	if err != nil {
		return nil, err
	}
	p := &platform{rig: r, config: config}
	url, grpc, err := r.startIngest(ctx, filepath.Join(config, "sources.yaml"))
	if err != nil {
		r.close()
		return nil, err
	}
	conn, err := rpc.Dial(grpc)
	if err != nil {
		r.close()
		return nil, err
	}
	r.onClose(func() { _ = conn.Close() })
	p.ingestURL, p.ingest = url, ingestv1.NewIngestServiceClient(conn)
	p.accounts, p.words = ingestv1.NewAccountServiceClient(conn), ingestv1.NewWordsServiceClient(conn)
	return p, nil
}

// pair opens the two listeners of a service.
func pair(ctx context.Context) (web, grpc net.Listener, err error) {
	if web, err = listen(ctx); err != nil {
		return nil, nil, err
	}
	grpc, err = listen(ctx)
	return web, grpc, err
}

func (p *platform) startScoring(ctx context.Context) error {
	web, grpc, err := pair(ctx)
	if err != nil {
		return err
	}
	b, err := p.connect(ctx, "scoring")
	if err != nil {
		return err
	}
	cfg := scoring.DefaultConfig()
	cfg.Model = filepath.Join(p.config, "model.yaml")
	s, err := scoring.New(cfg, scoring.Deps{Bus: b, Redis: p.redis, Log: p.log, HTTP: web, GRPC: grpc})
	if err != nil {
		return fmt.Errorf("open scoring: %w", err)
	}
	p.background(ctx, "scoring", s.Run)
	conn, err := rpc.Dial(grpc.Addr().String())
	if err != nil {
		return err
	}
	p.onClose(func() { _ = conn.Close() })
	p.scoring = scoringv1.NewScoringServiceClient(conn)
	return nil
}

func (p *platform) startCampaign(ctx context.Context, programs, smtp string) error {
	web, grpc, err := pair(ctx)
	if err != nil {
		return err
	}
	b, err := p.connect(ctx, "campaign")
	if err != nil {
		return err
	}
	cfg := campaign.DefaultConfig()
	cfg.Programs, cfg.Templates = programs, filepath.Join(p.config, "templates")
	cfg.LinkKeys = []string{strings.Repeat("ab", 32)}
	cfg.PublicURL, cfg.SMTP.Addr = "http://"+web.Addr().String(), smtp
	s, err := campaign.New(cfg, campaign.Deps{
		Bus: b, Redis: p.redis, Log: p.log, HTTP: web, GRPC: grpc, Ingest: p.ingest, Scoring: p.scoring,
	})
	if err != nil {
		return fmt.Errorf("open campaign: %w", err)
	}
	p.background(ctx, "campaign", s.Run)
	conn, err := rpc.Dial(grpc.Addr().String())
	if err != nil {
		return err
	}
	p.onClose(func() { _ = conn.Close() })
	p.campaign = campaignv1.NewCampaignServiceClient(conn)
	return nil
}

func (p *platform) startHandoff(ctx context.Context, routes, webhook string) error {
	web, grpc, err := pair(ctx)
	if err != nil {
		return err
	}
	b, err := p.connect(ctx, "handoff")
	if err != nil {
		return err
	}
	cfg := handoff.DefaultConfig()
	cfg.Routes = routes
	cfg.Webhook.URL, cfg.Webhook.Secrets, cfg.Webhook.Allow = webhook, []string{webhookSecret}, []string{"127.0.0.0/8"}
	s, err := handoff.New(cfg, handoff.Deps{
		Bus: b, Redis: p.redis, Log: p.log, HTTP: web, GRPC: grpc, Ingest: p.ingest, Accounts: p.accounts, Words: p.words, Scoring: p.scoring, Campaign: p.campaign,
	})
	if err != nil {
		return fmt.Errorf("open handoff: %w", err)
	}
	p.background(ctx, "handoff", s.Run)
	return nil
}
