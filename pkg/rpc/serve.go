package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/test/bufconn"
)

// DrainTimeout bounds how long calls in flight may go on after the end was
// asked for.
const DrainTimeout = 10 * time.Second

// readyTimeout bounds one look at ServeOptions.Ready.
const readyTimeout = 2 * time.Second

var errDraining = errors.New("shutting down")

// ServeOptions say what is served and where. GRPC, HTTP, Log and Register are
// required.
type ServeOptions struct {
	// GRPC and HTTP are open listeners; Serve closes them.
	GRPC, HTTP net.Listener
	Log        *slog.Logger
	// Register adds the services. It is called twice: for the server on the
	// network and for the one in memory that the gateway talks to.
	Register func(*grpc.Server)
	// Gateway are the generated Register<Service>Handler functions whose REST
	// routes are served over HTTP.
	Gateway []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error
	// Handler are HTTP routes of the service's own: an *http.ServeMux, which is
	// asked first; what it has no route for goes to the gateway.
	Handler http.Handler
	// Access says who may use the API. Nil: only callers on this machine.
	Access *Access
	// Fronted: the world reaches HTTP through a proxy. Then nobody who calls over
	// HTTP counts as being on this machine.
	Fronted bool
	// Ready says why the service cannot work now; nil when it can. Optional.
	Ready func(ctx context.Context) error
}

// Serve serves gRPC and HTTP until ctx ends, then lets calls in flight finish
// for at most DrainTimeout and answers nil. It answers an error when the
// options are wrong or a listener breaks.
func Serve(ctx context.Context, opts ServeOptions) error {
	return serve(ctx, opts, DrainTimeout)
}

func serve(ctx context.Context, opts ServeOptions, patience time.Duration) error {
	s, err := newServer(opts) //nolint:contextcheck // calls and streams bring their own
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	handler, err := s.handler(ctx)
	if err != nil {
		return fmt.Errorf("serve: %w", errors.Join(err, s.abandon()))
	}
	s.http.Handler = handler
	failed := s.start()
	select {
	case <-ctx.Done():
		s.drain(context.WithoutCancel(ctx), patience)
		return nil
	case err := <-failed:
		s.drain(context.WithoutCancel(ctx), patience)
		return fmt.Errorf("serve: %w", err)
	}
}

// server is one service's front: gRPC on the network, HTTP, and between HTTP
// and the services a gRPC server in memory, which needs no credentials and has
// the same interceptors.
type server struct {
	opts   ServeOptions
	grpc   *grpc.Server
	inner  *grpc.Server
	pipe   *bufconn.Listener
	conn   *grpc.ClientConn
	http   *http.Server
	health *health.Server
	// gone is closed when draining begins.
	gone chan struct{}
}

func newServer(opts ServeOptions) (*server, error) {
	if opts.GRPC == nil || opts.HTTP == nil || opts.Log == nil || opts.Register == nil {
		return nil, errors.New("ServeOptions need GRPC, HTTP, Log and Register")
	}
	if opts.Access == nil {
		var err error
		if opts.Access, err = OpenAccess(AccessOptions{Log: opts.Log}); err != nil {
			return nil, err
		}
	}
	creds, err := credentialsFor(loopbackAddr(opts.GRPC.Addr()), func(id *identity) (credentials.TransportCredentials, error) {
		return id.serverCredentials(opts.Access.opts.File != "")
	})
	if err != nil {
		return nil, fmt.Errorf("gRPC on %s: %w", opts.GRPC.Addr(), err)
	}
	s := &server{opts: opts, health: health.NewServer(), gone: make(chan struct{}), pipe: bufconn.Listen(256 << 10)}
	if s.grpc, err = s.newGRPC(func(ctx context.Context) (caller, error) {
		return opts.Access.know(ctx, fromNetwork(ctx))
	}, grpc.Creds(creds)); err != nil {
		return nil, err
	}
	if s.inner, err = s.newGRPC(fromMemory); err != nil {
		return nil, err
	}
	if s.conn, err = dialPipe(s.pipe); err != nil {
		return nil, err
	}
	s.http = &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second, // the whole body: a slow client holds memory
		WriteTimeout:      MaxDeadline + 5*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(opts.Log.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// newGRPC makes a server that knows its callers by who.
func (s *server) newGRPC(who func(context.Context) (caller, error), extra ...grpc.ServerOption) (*grpc.Server, error) {
	d := &door{access: s.opts.Access, log: s.opts.Log, who: who}
	srv := grpc.NewServer(append(extra,
		grpc.ChainUnaryInterceptor(interceptors(s.opts.Log, d)...),
		grpc.ChainStreamInterceptor(streamInterceptors(s.opts.Log, d)...),
		grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithFilter(notHealth))),
		grpc.MaxConcurrentStreams(1000),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 30 * time.Second, Timeout: 10 * time.Second,
			// Connections are renewed now and then, so that clients find new replicas.
			MaxConnectionAge: 30 * time.Minute, MaxConnectionAgeGrace: time.Minute,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: 10 * time.Second, PermitWithoutStream: true,
		}),
	)...)
	s.opts.Register(srv)
	var err error
	if d.needs, err = needsOf(srv); err != nil {
		return nil, err
	}
	healthv1.RegisterHealthServer(srv, &probe{Server: s.health, ready: s.ready, gone: s.gone})
	reflection.Register(srv)
	return srv, nil
}

// dialPipe connects the gateway to the server in memory.
func dialPipe(pipe *bufconn.Listener) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///gateway",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return pipe.DialContext(ctx)
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(withDeadline, carryTrace, introduce),
		grpc.WithChainStreamInterceptor(introduceStream),
	)
}

// start serves on everything and answers the first failure.
func (s *server) start() <-chan error {
	failed := make(chan error, 3)
	serve := func(what string, run func() error) {
		go func() {
			if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s: %w", what, err)
			}
		}()
	}
	serve("gRPC in memory", func() error { return s.inner.Serve(s.pipe) })
	serve("gRPC on "+s.opts.GRPC.Addr().String(), func() error { return s.grpc.Serve(s.opts.GRPC) })
	serve("HTTP on "+s.opts.HTTP.Addr().String(), func() error { return s.http.Serve(s.opts.HTTP) })
	return failed
}

// ready says why the service cannot take work now.
func (s *server) ready(ctx context.Context) error {
	select {
	case <-s.gone:
		return errDraining
	default:
	}
	if s.opts.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return s.opts.Ready(ctx)
}
