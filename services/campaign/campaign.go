// Package campaign answers what the next best touch of a lead is, if any:
// programs written in YAML, the journey of each lead through them, and mails
// that are sent at most once. Read handle.go first: it is the flow.
package campaign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"time"
	_ "time/tzdata" // quiet hours need the zones also where the system has none

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/expr"
	"github.com/nurturehq/nurture/pkg/leadview"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/returnpath"
	pkgrpc "github.com/nurturehq/nurture/pkg/rpc"
	"github.com/nurturehq/nurture/pkg/visitor"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/feed"
	"github.com/nurturehq/nurture/services/campaign/internal/link"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
	"github.com/nurturehq/nurture/services/campaign/internal/rpc"
	"github.com/nurturehq/nurture/services/campaign/internal/sender"
	"github.com/nurturehq/nurture/services/campaign/internal/store"
	"github.com/nurturehq/nurture/services/campaign/internal/web"
)

// programPatience bounds the look for a version of a program that is not in memory.
const programPatience = 5 * time.Second

// Deps are what the service works with; whoever opened them closes them.
type Deps struct {
	Bus *bus.Bus
	// Redis caches states; nil costs speed, nothing else.
	Redis redis.UniversalClient
	Log   *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// HTTP and GRPC are open listeners; the service closes them.
	HTTP, GRPC net.Listener
	// Access says who may use the API; nil: only callers on this machine.
	Access *pkgrpc.Access
	// Ingest is asked for people and told of consent, Scoring for scores.
	Ingest  ingestv1.IngestServiceClient
	Scoring scoringv1.ScoringServiceClient
}

// Service is campaign, ready to run.
type Service struct {
	cfg      Config
	deps     Deps
	bundles  []program.Bundle
	programs *store.Store
	links    *link.Signer
	returns  *returnpath.Signer
	proxies  []netip.Prefix
	ledger   *ledger.Ledger[*campaignv1.State]
	sender   *sender.Sender
	outcomes chan told
	feed     feed.Feed
}

// New reads and checks all programs and templates and puts the service together.
// The error joins everything that is wrong with them.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Service{cfg: cfg, deps: deps, outcomes: make(chan told, settleTogether), feed: feed.Feed{Bus: deps.Bus}}
	for _, open := range []func() error{cfg.Validate, s.openLinks, s.openProxies, s.openReturns, s.openPrograms, s.openLedger} {
		if err := open(); err != nil {
			return nil, fmt.Errorf("campaign: %w", err)
		}
	}
	s.sender = s.newSender()
	return s, nil
}

func (s *Service) openLinks() (err error) {
	s.links, err = link.NewSigner(s.cfg.LinkKeys)
	return err
}

func (s *Service) openProxies() (err error) {
	if s.proxies, err = visitor.Networks(s.cfg.Proxies); err != nil {
		return fmt.Errorf("trusted_proxies: %w", err)
	}
	return nil
}

// openReturns makes the signer of return addresses, if mails are to have any.
func (s *Service) openReturns() (err error) {
	if s.cfg.Mail.BounceDomain == "" {
		return nil
	}
	if s.returns, err = returnpath.NewSigner(s.cfg.Mail.BounceKeys); err != nil {
		return fmt.Errorf("mail.bounce_keys: %w", err)
	}
	return nil
}

func (s *Service) openPrograms() (err error) {
	if s.bundles, err = s.cfg.files().Read(); err != nil {
		return err
	}
	s.programs, err = store.New(s.deps.Bus, s.bundles, s.cfg.review())
	return err
}

func (s *Service) openLedger() (err error) {
	s.ledger, err = ledger.New(ledger.Options[*campaignv1.State]{
		Service: "campaign", Stream: bus.Campaign,
		New:  func() *campaignv1.State { return &campaignv1.State{} },
		Fold: s.fold, Enrich: s.pin,
		Sources: []ledger.Source{
			{Stream: bus.Leads, Kinds: []string{bus.KindState}, Patient: true},
			{Stream: bus.Scores, Kinds: []string{bus.KindState}, Patient: true},
			{Stream: bus.Handoff, Kinds: []string{bus.KindState}, Patient: true},
		},
		Lanes: s.cfg.Lanes, UrgentCopies: true,
	}, ledger.Deps{Bus: s.deps.Bus, Redis: s.deps.Redis, Log: s.deps.Log, Now: s.deps.Now})
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	return nil
}

// Ledger is the service's log, for `nurture verify`.
func (s *Service) Ledger() *ledger.Ledger[*campaignv1.State] { return s.ledger }

// Lint reads programs and templates below a configuration directory as the
// service would, and gives the conditions of the programs. The error says
// everything that is wrong with them.
func Lint(dir string) ([]*expr.Program, error) {
	cfg := DefaultConfig()
	cfg.Programs, cfg.Templates = filepath.Join(dir, "programs"), filepath.Join(dir, "templates")
	return cfg.files().Lint()
}

// Run works until ctx ends: nothing new is sent, what was claimed is finished,
// then the lanes stop, which fold the last outcomes.
func (s *Service) Run(ctx context.Context) error {
	if err := bus.Patiently(ctx, func(ctx context.Context) error { return s.programs.Open(ctx, s.bundles) }); err != nil {
		return fmt.Errorf("campaign: %w", err)
	}
	s.deps.Log.InfoContext(ctx, "campaign starts", "programs", len(s.bundles), "book", s.programs.Current().ID)
	lanes, stopLanes := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLanes()
	all, gctx := errgroup.WithContext(ctx)
	edge, ectx := errgroup.WithContext(gctx)
	edge.Go(func() error { return s.serve(ectx) })
	edge.Go(func() error { return s.send(ectx) })
	all.Go(func() error { return s.ledger.Run(lanes) })
	all.Go(func() error {
		defer stopLanes()
		return edge.Wait()
	})
	return all.Wait()
}

// send runs the sender, and folds what it tells until it is done.
func (s *Service) send(ctx context.Context) error {
	var settling sync.WaitGroup
	settling.Go(func() { s.settleAll(context.WithoutCancel(ctx)) })
	defer settling.Wait()
	defer close(s.outcomes)
	return s.sender.Run(ctx)
}

func (s *Service) serve(ctx context.Context) error {
	views := leadview.New(leadview.Deps{Redis: s.deps.Redis, Ingest: s.deps.Ingest, Scoring: s.deps.Scoring})
	api := rpc.NewServer(rpc.Deps{Ledger: s.ledger, Book: s.programs.Current(), View: views.View})
	return pkgrpc.Serve(ctx, pkgrpc.ServeOptions{
		GRPC: s.deps.GRPC, HTTP: s.deps.HTTP, Log: s.deps.Log, Access: s.deps.Access,
		Fronted:  pkgrpc.Elsewhere(s.cfg.PublicURL),
		Register: func(g *grpc.Server) { campaignv1.RegisterCampaignServiceServer(g, api) },
		Gateway: []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
			campaignv1.RegisterCampaignServiceHandler,
		},
		Handler: web.Handler(web.Deps{
			Links: s.links, Ingest: s.deps.Ingest, Tell: s.feed.Tell, Log: s.deps.Log, Now: s.deps.Now, Company: s.cfg.Mail.Company,
			Proxies: s.proxies,
		}),
		Ready: s.ready,
	})
}

func (s *Service) ready(context.Context) error {
	if !s.deps.Bus.NC.IsConnected() {
		return errors.New("not connected to NATS")
	}
	return nil
}
