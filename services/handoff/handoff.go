// Package handoff answers who in sales gets a lead, and what became of it: the
// gate, the dossier, routing, delivery to the CRM, the rep's clock, and sales'
// answers. Read handle.go first: it is the flow.
package handoff

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/leadview"
	"github.com/nurturehq/nurture/pkg/ledger"
	pkgrpc "github.com/nurturehq/nurture/pkg/rpc"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/crm"
	"github.com/nurturehq/nurture/services/handoff/internal/desk"
	"github.com/nurturehq/nurture/services/handoff/internal/feed"
	"github.com/nurturehq/nurture/services/handoff/internal/rpc"
)

// Config is what an operator sets.
type Config struct {
	// Routes is the file with the gate, the rep's clock, the delivery schedule
	// and the reps.
	Routes string `yaml:"routes" help:"file with gate, SLA, delivery schedule and reps"`
	// Webhook is the CRM.
	Webhook Webhook `yaml:"webhook"`
	// Lanes is how many goroutines share the leads.
	Lanes int `yaml:"lanes" help:"goroutines that share the leads, 1 to 64"`
	// Deliveries is how many webhooks may be under way at once in this process.
	Deliveries int `yaml:"deliveries" help:"webhooks under way at once in this process"`
	// AskWithin bounds the questions to the other services.
	AskWithin time.Duration `yaml:"ask_within" help:"how long the other services may take to answer (six times as long for the lead itself); what is late is missing in the dossier"`
}

// Webhook is where handoffs are delivered, and how they are signed.
type Webhook = crm.EndpointConfig

// DefaultConfig is a handoff without a CRM: events go to OUTBOUND only.
func DefaultConfig() Config {
	return Config{
		Routes:     "deploy/example/routes.yaml",
		Webhook:    Webhook{Timeout: 15 * time.Second},
		Lanes:      1,
		Deliveries: 32,
		AskWithin:  500 * time.Millisecond,
	}
}

// Validate says what is wrong with a configuration, and what to do.
func (c Config) Validate() error {
	switch {
	case c.Routes == "":
		return errors.New("routes: name the file with the reps, e.g. deploy/example/routes.yaml")
	case c.Lanes < 1 || c.Lanes > bus.Buckets:
		return fmt.Errorf("lanes: %d is not between 1 and %d", c.Lanes, bus.Buckets)
	case c.Deliveries < 1:
		return errors.New("deliveries: must be at least 1")
	case c.AskWithin <= 0:
		return errors.New("ask_within: must be more than 0, e.g. 500ms")
	default:
		return nil
	}
}

// Deps are what a service works with; whoever opened them closes them.
type Deps struct {
	Bus   *bus.Bus
	Redis redis.UniversalClient
	Log   *slog.Logger
	Now   func() time.Time
	// HTTP and GRPC are open listeners; the service closes them.
	HTTP, GRPC net.Listener
	// Access says who may use the API; nil: only callers on this machine.
	Access   *pkgrpc.Access
	Ingest   ingestv1.IngestServiceClient
	Accounts ingestv1.AccountServiceClient
	Words    ingestv1.WordsServiceClient
	Scoring  scoringv1.ScoringServiceClient
	Campaign campaignv1.CampaignServiceClient
}

// Service is handoff, ready to run.
type Service struct {
	deps      Deps
	board     *feed.Board
	ledger    *ledger.Ledger[state]
	deliverer *crm.Deliverer
	server    *rpc.Server
}

// New reads the routes, checks the configuration and puts the service together.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	routes, err := LoadRoutes(cfg.Routes)
	if err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	endpoint, err := crm.NewEndpoint(cfg.Webhook, deps.Now)
	if err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	s := &Service{deps: deps, board: feed.NewBoard(routes.Reps, deps.Log, deps.Now)}
	if err := s.openLedger(cfg, routes); err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	words := feed.Words{Ingest: deps.Words, Log: deps.Log, Within: cfg.AskWithin}
	evidence := feed.Evidence{
		Ingest: deps.Ingest, Accounts: deps.Accounts, Words: words, Scoring: deps.Scoring, Campaign: deps.Campaign, Log: deps.Log, Within: cfg.AskWithin,
	}
	s.deliverer = crm.NewDeliverer(crm.Options{
		Bus: deps.Bus, Endpoint: endpoint, Collect: evidence.Collect, Log: deps.Log, Now: deps.Now, Workers: cfg.Deliveries,
		Settle: s.settle, Settled: s.settled,
	})
	s.server = rpc.NewServer(s.ledger, words, evidence.Collect)
	return s, nil
}

func (s *Service) openLedger(cfg Config, routes Routes) error {
	router := feed.Router{
		Board:  s.board,
		Views:  leadview.New(leadview.Deps{Redis: s.deps.Redis, Ingest: s.deps.Ingest, Scoring: s.deps.Scoring}),
		Ingest: s.deps.Ingest, Policy: routes.Policy, Log: s.deps.Log, Within: cfg.AskWithin,
	}
	var err error
	s.ledger, err = ledger.New(ledger.Options[state]{
		Service: "handoff",
		Stream:  bus.Handoff,
		New:     func() state { return &handoffv1.State{} },
		Fold:    handler{desk.New(routes.Policy)}.fold,
		Sources: []ledger.Source{
			{Stream: bus.Scores, Kinds: []string{bus.KindState}},
			{Stream: bus.Leads, Kinds: []string{bus.KindState}, Patient: true},
		},
		Enrich: func(ctx context.Context, ins []*ledger.Input) error {
			if err := router.Enrich(ctx, ins); err != nil {
				return err
			}
			return s.hear(ctx, ins)
		},
		Lanes: cfg.Lanes,
	}, ledger.Deps{Bus: s.deps.Bus, Redis: s.deps.Redis, Log: s.deps.Log, Now: s.deps.Now})
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	return nil
}

// Ledger is the service's log, for `nurture verify`.
func (s *Service) Ledger() *ledger.Ledger[state] { return s.ledger }

// Run works until ctx ends: calls in flight are answered first, then the
// deliveries under way finish, then the lanes, which fold the last outcomes.
func (s *Service) Run(ctx context.Context) error {
	lanes, stopLanes := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLanes()
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	gauges, err := s.observe()
	if err != nil {
		return err
	}
	defer func() { _ = gauges.Unregister() }()
	all, work := errgroup.WithContext(work)
	all.Go(func() error { return s.board.Follow(work, s.deps.Bus) })
	all.Go(func() error { return s.afterReady(lanes, s.ledger.Run) })
	all.Go(func() error { return s.afterReady(work, s.offer) })
	all.Go(func() error {
		defer stopLanes()
		return s.afterReady(work, s.deliverer.Run)
	})
	all.Go(func() error {
		defer stop()
		serving, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(work, cancel)()
		return s.serve(serving)
	})
	return all.Wait()
}

// afterReady waits until the board knows who has which lead: routing without
// it would exceed capacities.
func (s *Service) afterReady(ctx context.Context, run func(context.Context) error) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.board.Ready():
		return run(ctx)
	}
}

func (s *Service) serve(ctx context.Context) error {
	return pkgrpc.Serve(ctx, pkgrpc.ServeOptions{
		GRPC: s.deps.GRPC, HTTP: s.deps.HTTP, Log: s.deps.Log, Access: s.deps.Access,
		Register: func(g *grpc.Server) { handoffv1.RegisterHandoffServiceServer(g, s.server) },
		Gateway: []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
			handoffv1.RegisterHandoffServiceHandler,
		},
		Ready: s.ready,
	})
}

func (s *Service) ready(context.Context) error {
	select {
	case <-s.board.Ready():
	default:
		return errors.New("the board of open handoffs is still being rebuilt")
	}
	if !s.deps.Bus.NC.IsConnected() {
		return errors.New("not connected to NATS")
	}
	return nil
}
