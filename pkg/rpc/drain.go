package rpc

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// drain tells the world first, then takes nothing new and lets what is in
// flight finish, then cuts off what is left.
func (s *server) drain() {
	s.draining.Store(true)
	s.health.Shutdown()
	ctx, cancel := context.WithTimeout(context.Background(), DrainTimeout)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { stop(ctx, s.grpc) })
	// HTTP before the server in memory: requests still need it.
	if err := s.http.Shutdown(ctx); err != nil {
		s.opts.Log.WarnContext(ctx, "requests cut off while draining", "error", err)
		_ = s.http.Close()
	}
	stop(ctx, s.inner)
	wg.Wait()
	_ = s.conn.Close()
}

// stop lets calls finish until ctx ends.
func stop(ctx context.Context, srv *grpc.Server) {
	defer context.AfterFunc(ctx, srv.Stop)()
	srv.GracefulStop()
}

// abandon closes what was opened when serving could not begin.
func (s *server) abandon() error {
	return errors.Join(s.conn.Close(), s.pipe.Close(), s.opts.GRPC.Close(), s.opts.HTTP.Close())
}

// probe answers health checks: SERVING while the service is ready. Watchers
// hear of the end only; what happens in between they learn by asking.
type probe struct {
	*health.Server
	ready func(context.Context) error
}

// Check answers NOT_SERVING while the service is not ready.
func (p *probe) Check(ctx context.Context, req *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	resp, err := p.Server.Check(ctx, req)
	if err != nil || p.ready(ctx) == nil {
		return resp, err
	}
	return &healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_NOT_SERVING}, nil
}
