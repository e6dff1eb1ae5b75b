// Package scoring answers whether a lead is ready to buy right now, and why:
// fit from who it is, behaviour from what it does, fading by half again and
// again. It owns the lifecycle stage. Read handle.go first: it is the flow.
package scoring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	pkgrpc "github.com/nurturehq/nurture/pkg/rpc"
	"github.com/nurturehq/nurture/services/scoring/internal/model"
	"github.com/nurturehq/nurture/services/scoring/internal/rpc"

	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// Config is what an operator sets.
type Config struct {
	// Model is the file of the scoring model.
	Model string `yaml:"model" help:"file of the scoring model"`
	// Lanes is how many goroutines share the leads.
	Lanes int `yaml:"lanes" help:"goroutines that share the leads, 1 to 64"`
}

// DefaultConfig scores with the example model in one lane.
func DefaultConfig() Config {
	return Config{Model: "deploy/example/model.yaml", Lanes: 1}
}

// Validate says what is wrong with a configuration, and what to do.
func (c Config) Validate() error {
	switch {
	case c.Model == "":
		return errors.New("model: name the file of the scoring model, e.g. deploy/example/model.yaml")
	case c.Lanes < 1 || c.Lanes > bus.Buckets:
		return fmt.Errorf("lanes: %d is not between 1 and %d", c.Lanes, bus.Buckets)
	default:
		return nil
	}
}

// Deps are what the service works with; whoever opened them closes them.
type Deps struct {
	Bus   *bus.Bus
	Redis redis.UniversalClient
	Log   *slog.Logger
	// Now is the clock of reads. Default time.Now.
	Now func() time.Time
	// HTTP and GRPC are open listeners; the service closes them.
	HTTP, GRPC net.Listener
	// Access says who may use the API; nil: only callers on this machine.
	Access *pkgrpc.Access
}

// Service is scoring, ready to run.
type Service struct {
	deps   Deps
	model  *model.Model
	ledger *ledger.Ledger[*scoringv1.State]
	server *rpc.Server
}

// New reads and compiles the model and puts the service together.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("scoring: %w", err)
	}
	raw, err := os.ReadFile(cfg.Model)
	if err != nil {
		return nil, fmt.Errorf("scoring: read model: %w", err)
	}
	m, err := model.Parse(cfg.Model, raw)
	if err != nil {
		return nil, fmt.Errorf("scoring: %w", err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Service{deps: deps, model: m}
	if err := s.openLedger(cfg); err != nil {
		return nil, fmt.Errorf("scoring: %w", err)
	}
	s.server = rpc.NewServer(m, s.ledger, deps.Now)
	return s, nil
}

func (s *Service) openLedger(cfg Config) error {
	var err error
	s.ledger, err = ledger.New(ledger.Options[*scoringv1.State]{
		Service: "scoring",
		Stream:  bus.Scores,
		New:     func() *scoringv1.State { return &scoringv1.State{} },
		Fold:    folder{s.model}.fold, Enrich: s.hear,
		Sources: []ledger.Source{
			{Stream: bus.Leads, Kinds: []string{bus.KindState}},
			{Stream: bus.Handoff, Kinds: []string{bus.KindState}, Patient: true},
		},
		Lanes: cfg.Lanes,
	}, ledger.Deps{Bus: s.deps.Bus, Redis: s.deps.Redis, Log: s.deps.Log, Now: s.deps.Now})
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	return nil
}

// Ledger is the service's log, for `nurture verify`.
func (s *Service) Ledger() *ledger.Ledger[*scoringv1.State] { return s.ledger }

// Run works until ctx ends: the lanes stop first, then calls in flight are
// answered, which read and need no lanes.
func (s *Service) Run(ctx context.Context) error {
	s.deps.Log.InfoContext(ctx, "scoring starts", "model", s.model.Version)
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return s.ledger.Run(ctx) })
	all.Go(func() error { return s.serve(ctx) })
	return all.Wait()
}

func (s *Service) serve(ctx context.Context) error {
	return pkgrpc.Serve(ctx, pkgrpc.ServeOptions{
		GRPC: s.deps.GRPC, HTTP: s.deps.HTTP, Log: s.deps.Log, Access: s.deps.Access,
		Register: func(g *grpc.Server) { scoringv1.RegisterScoringServiceServer(g, s.server) },
		Gateway: []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
			scoringv1.RegisterScoringServiceHandler,
		},
		Ready: s.ready,
	})
}

func (s *Service) ready(context.Context) error {
	if !s.deps.Bus.NC.IsConnected() {
		return errors.New("not connected to NATS")
	}
	return nil
}
