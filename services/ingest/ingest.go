// Package ingest answers: who is this, and what did they do? It takes events
// over HTTP, gRPC and NATS, finds out whose they are, and records them.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/returnpath"
	"github.com/nurturehq/nurture/pkg/rpc"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/feed"
	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/dialects"
	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	ingestrpc "github.com/nurturehq/nurture/services/ingest/internal/rpc"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
	"github.com/nurturehq/nurture/services/ingest/internal/store"
	"github.com/nurturehq/nurture/services/ingest/internal/store/erasure"
	"github.com/nurturehq/nurture/services/ingest/internal/store/vault"
	"github.com/nurturehq/nurture/services/ingest/internal/web"
)

// recentIDs is how many ids of events a lead's state remembers: more than one
// sender's buffer holds.
const recentIDs = 128

// Config are the settings of ingest.
type Config struct {
	Sources         string   `yaml:"sources" help:"file that says who may send and how their forms are read"`
	Consent         string   `yaml:"consent" help:"file that says what people are asked for and what the law says where they live; empty: nothing without a yes"`
	Signals         string   `yaml:"signals" help:"file that says how machines are told from people, and whose addresses are flagged; empty: what is built in"`
	Facts           string   `yaml:"facts" help:"file that lists what conditions may know of people beside the usual facts; empty: nothing"`
	IdentityKey     string   `yaml:"identity_key" help:"secret that identities are hashed with, at least 32 bytes in hex; must never change" secret:"true"`
	IdentityKeyFile string   `yaml:"identity_key_file" help:"where the secret is kept when it is not given; made at the first run"`
	DataKey         string   `yaml:"data_key" help:"keys that wrap the data keys of leads, 32 bytes in hex each: the newest first, former ones behind it until their data keys are rewrapped" secret:"true"`
	DataKeyFile     string   `yaml:"data_key_file" help:"where those keys are kept when they are not given; made at the first run"`
	Lanes           int      `yaml:"lanes" help:"how many goroutines share the leads, 1 to 64"`
	CacheLeads      int      `yaml:"cache_leads" help:"states each lane keeps in memory"`
	CacheKeys       int      `yaml:"cache_keys" help:"identities kept in memory"`
	MaxInFlight     int      `yaml:"max_in_flight" help:"events worked on at once; more are answered 429"`
	PublicURL       string   `yaml:"public_url" help:"address that senders reach ingest at, like https://in.example.com; some sign it"`
	FetchAllow      []string `yaml:"fetch_allow" help:"hosts and networks that fetches of leads may reach although they are not public"`
	Proxies         []string `yaml:"trusted_proxies" help:"networks of your own proxies, like 10.0.0.0/8; they say where a visitor comes from"`

	Bounces BouncesConfig `yaml:"bounces"`

	RejectRetention time.Duration `yaml:"reject_retention" help:"how long what was not taken is kept for a person to look at, then overwritten; 0: until a person decides"`
	Quarantine      time.Duration `yaml:"quarantine" help:"how long opens and clicks wait for their verdict, whatever signals says; 0: as it says"`
}

// DefaultConfig are the settings that need no thought.
func DefaultConfig() Config {
	return Config{
		Sources:         "sources.yaml",
		IdentityKeyFile: "data/identity.key",
		DataKeyFile:     "data/data.key",
		Lanes:           1,
		CacheLeads:      10_000,
		CacheKeys:       100_000,
		MaxInFlight:     20_000,
		Bounces:         defaultBounces(),
		RejectRetention: 30 * 24 * time.Hour,
	}
}

// Deps are what ingest works with. Redis may be nil.
type Deps struct {
	Bus        *bus.Bus
	Redis      redis.UniversalClient
	Log        *slog.Logger
	Now        func() time.Time
	HTTP, GRPC net.Listener
	// Access says who may use the API; nil: only callers on this machine.
	Access *rpc.Access
	// SMTP takes mails that come back; nil: none are taken that way.
	SMTP net.Listener
	// Handoff is told what CRMs say became of a lead. Without it that waits on
	// INBOUND, and no source may be of kind crm.
	Handoff handoffv1.HandoffServiceClient
	// Tidy says when to look for rejects whose time is over; nil: every minute.
	Tidy <-chan time.Time
	// Look says when to look whether sources.yaml and signals.yaml have changed;
	// nil: every two seconds.
	Look <-chan time.Time
}

// Service is ingest.
type Service struct {
	cfg     Config
	deps    Deps
	sources *source.Live
	hasher  *identity.Hasher
	ledger  *ledger.Ledger[*ingestv1.State]
	book    *store.Book

	accounts *store.Accounts
	members  *store.Members

	policies   *store.Policies
	signals    *store.Signals
	suppressed *store.Suppressed
	metrics    *metrics
	dialects   map[string]hook.Dialect
	ring       *vault.Ring
	vault      *vault.Vault
	drawer     *vault.Drawer
	eraser     *erasure.Eraser
	returns    *returnpath.Signer
	fetcher    feed.Fetcher
	proxies    []netip.Prefix
	gate       *gate
	tally      *tally
	watcher    watcher
	listener   watcher // of signals.yaml
	started    time.Time
}

// New makes ingest ready to run. It reads the sources and the identity key.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if cfg.MaxInFlight < 1 || cfg.Lanes < 1 {
		return nil, errors.New("configure ingest: max_in_flight and lanes must be at least 1")
	}
	f, err := readFiles(cfg, deps.Log)
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, deps: deps, sources: source.NewLive(f.sources.set), hasher: identity.NewHasher(f.secret),
		metrics:  newMetrics(),
		policies: store.NewPolicies(deps.Bus, f.policy), signals: store.NewSignals(deps.Bus, f.signals.rules), suppressed: store.NewSuppressed(deps.Bus),
		dialects: dialects.All(web.NewAmazon(nil, deps.Now)), ring: f.ring, vault: vault.New(deps.Bus, f.ring, f.known, cfg.CacheKeys),
		gate: newGate(cfg.MaxInFlight), started: deps.Now(), proxies: f.proxies,
	}
	s.drawer = vault.NewDrawer(deps.Bus, s.vault, s.hasher.Derive("rejects"))
	if err := s.openReturns(); err != nil {
		return nil, fmt.Errorf("configure ingest: %w", err)
	}
	s.tally = newTally(s.known)
	s.watcher.begin(f.sources.sum, s.started)
	s.listener.begin(f.signals.sum, s.started)
	if s.fetcher, err = feed.NewWeb(cfg.FetchAllow); err != nil {
		return nil, err
	}
	if err := s.checkHooks(); err != nil {
		return nil, err
	}
	return s, s.open()
}

// open makes the ledger and the books beside it.
func (s *Service) open() (err error) {
	cfg, deps := s.cfg, s.deps
	s.ledger, err = ledger.New(ledger.Options[*ingestv1.State]{
		Service: "ingest", Stream: bus.Leads, New: person.New, Fold: person.Folding(s.policies.Find, s.signals.Find),
		Lanes: cfg.Lanes, RecentIDs: recentIDs, CacheLeads: cfg.CacheLeads, Codec: s.vault, Committed: s.committed,
	}, ledger.Deps{Bus: deps.Bus, Redis: deps.Redis, Log: deps.Log, Now: deps.Now})
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	s.book = store.New(store.Options{Bus: deps.Bus, Now: deps.Now, Held: s.weigh, Born: s.vault.Born, CacheKeys: cfg.CacheKeys})
	s.accounts = store.NewAccounts(deps.Bus, deps.Now, cfg.CacheKeys, s.disputed)
	s.members = store.NewMembers(deps.Bus, deps.Log, s.accounts.Root)
	s.eraser = erasure.New(erasure.Deps{
		Bus: deps.Bus, Redis: deps.Redis, Ledger: s.ledger, Release: s.book.Release, Accounts: companies{s.accounts, s.members}, Inbound: feed.Transit(deps.Bus), Destroy: s.vault.Destroy, Open: s.drawer.Open,
		Keys: func(c *ingestv1.CaptureLeadRequest) []identity.Key { return slices.Collect(s.ask(c).Keys()) },
		Log:  deps.Log, Now: deps.Now,
	})
	return nil
}

// Run serves until ctx ends: first nothing new is taken, then what is in flight
// is finished, then the ledger stops.
func (s *Service) Run(ctx context.Context) error {
	if err := errors.Join(s.checkSecret(ctx), s.checkDataKey(ctx)); err != nil {
		return err
	}
	if err := bus.Patiently(ctx, func(ctx context.Context) error {
		return errors.Join(s.policies.Open(ctx), s.signals.Open(ctx))
	}); err != nil {
		return err
	}
	edgeCtx, stopEdge := context.WithCancel(ctx)
	defer stopEdge()
	lanes, stopLanes := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLanes()
	var ledgerErr error
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		defer stopEdge() // without the ledger nothing can be taken
		if err := s.ledger.Run(lanes); err != nil {
			ledgerErr = fmt.Errorf("run ledger: %w", err)
		}
	}()
	edge, edgeCtx := errgroup.WithContext(edgeCtx)
	edge.Go(func() error { return s.serve(edgeCtx) })
	edge.Go(func() error { return s.listen(edgeCtx) })
	edge.Go(func() error { return s.eraser.Run(edgeCtx) })
	edge.Go(func() error { return s.takeReturns(edgeCtx, s.deps.SMTP) })
	edge.Go(func() error { return s.watch(edgeCtx) })
	edge.Go(func() error { return s.tidy(edgeCtx) })
	edge.Go(func() error { return s.passOn(edgeCtx) })
	edge.Go(func() error { return s.members.Run(edgeCtx) })
	edge.Go(func() error { return s.followJoins(edgeCtx) })
	edge.Go(func() error { return s.bringAlong(edgeCtx) })
	err := edge.Wait()
	stopLanes()
	<-stopped
	return errors.Join(ledgerErr, err)
}

// serve takes events over HTTP and gRPC.
func (s *Service) serve(ctx context.Context) error {
	api := ingestrpc.New(ingestrpc.Deps{
		Signals: s.signals.Current,
		Accept:  s.accept, Ledger: s.ledger, Sources: s.sources, Policy: s.policies.Current(), Suppressed: s, Who: s,
		Plain:  s.vault.Plain,
		Eraser: s.eraser, Rewrap: s.rewrap, TakeReturn: s.takeReturn,
		Bus: s.deps.Bus, Drawer: s.drawer, Listed: s.listSources, Redrive: s.redrive, Try: s.try,
	})
	return rpc.Serve(ctx, rpc.ServeOptions{
		GRPC: s.deps.GRPC, HTTP: s.deps.HTTP, Log: s.deps.Log, Access: s.deps.Access,
		Fronted: len(s.proxies) > 0 || rpc.Elsewhere(s.cfg.PublicURL),
		Register: func(srv *grpc.Server) {
			ingestv1.RegisterIngestServiceServer(srv, api)
			ingestv1.RegisterAccountServiceServer(srv, ingestrpc.NewAccounts(s))
			ingestv1.RegisterWordsServiceServer(srv, ingestrpc.NewWords(s.vault))
		},
		Gateway: []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
			ingestv1.RegisterIngestServiceHandler, ingestv1.RegisterAccountServiceHandler,
		},
		Handler: web.New(s.doors()),
		Ready:   s.ready,
	})
}

// doors are what the routes of senders work with.
func (s *Service) doors() web.Deps {
	return web.Deps{
		Accept: s.admit, Visit: s.visit, Received: s.tally.received, Quarantine: s.quarantine, Reject: s.reject, Sources: s.sources,
		Hooks:     web.Hooks{Dialects: s.dialects, Take: s.takeHook, Count: s.countHook},
		PublicURL: strings.TrimSuffix(s.cfg.PublicURL, "/"), FormSecret: s.hasher.Derive("form"), Proxies: s.proxies,
		Log: s.deps.Log, Now: s.deps.Now,
	}
}

// listen takes events that upstreams publish to NATS.
func (s *Service) listen(ctx context.Context) error {
	f := feed.New(feed.Deps{
		Accept: s.accept, Sources: s.sources, Bus: s.deps.Bus, Park: s.drawer.Park, Log: s.deps.Log,
		Dialects: s.dialects, Take: s.takeHook, Fetcher: s.fetcher, Find: s.findExternal, Handoff: s.deps.Handoff,
	})
	if err := f.Run(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("listen on inbound: %w", err)
	}
	return nil
}

// ready reports whether the log answers.
func (s *Service) ready(ctx context.Context) error {
	if _, err := s.deps.Bus.JS.Stream(ctx, bus.Leads); err != nil {
		return fmt.Errorf("reach stream %s: %w", bus.Leads, err)
	}
	return nil
}
