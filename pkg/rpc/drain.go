package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// drain tells the world first, then takes nothing new and lets what is in
// flight finish, then, when patience ends, cuts off what is left.
func (s *server) drain(ctx context.Context, patience time.Duration) {
	close(s.gone)
	s.health.Shutdown()
	ctx, cancel := context.WithTimeout(ctx, patience)
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

// stop lets calls finish until ctx ends. It does not wait for handlers that go
// on although their caller has been cut off.
func stop(ctx context.Context, srv *grpc.Server) {
	finished := make(chan struct{})
	go func() {
		srv.GracefulStop()
		close(finished)
	}()
	select {
	case <-finished:
	case <-ctx.Done():
		srv.Stop()
	}
}

// abandon closes what was opened when serving could not begin.
func (s *server) abandon() error {
	return errors.Join(s.conn.Close(), s.pipe.Close(), s.opts.GRPC.Close(), s.opts.HTTP.Close())
}

// probe answers health checks: SERVING while the service is ready.
type probe struct {
	*health.Server
	ready func(context.Context) error
	gone  <-chan struct{}
}

// Check answers NOT_SERVING while the service is not ready.
func (p *probe) Check(ctx context.Context, req *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	resp, err := p.Server.Check(ctx, req)
	if err != nil || p.ready(ctx) == nil {
		return resp, err
	}
	return notServing(), nil
}

// Watch says SERVING until the end, whether or not the service is ready now:
// clients that watch would turn away at the first hiccup and learn too late
// that it has passed, while a call tells them at once. The end also ends the
// watch: an idle watcher must not hold up the drain.
func (p *probe) Watch(req *healthv1.HealthCheckRequest, stream grpc.ServerStreamingServer[healthv1.HealthCheckResponse]) error {
	now, err := p.Server.Check(stream.Context(), req)
	if status.Code(err) == codes.NotFound {
		now, err = &healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_SERVICE_UNKNOWN}, nil
	}
	if err == nil {
		err = stream.Send(now)
	}
	if err != nil {
		return err
	}
	select {
	case <-stream.Context().Done():
		return status.FromContextError(stream.Context().Err()).Err()
	case <-p.gone:
		_ = stream.Send(notServing()) // the watcher may be gone too
		return status.Error(codes.Unavailable, errDraining.Error())
	}
}

func notServing() *healthv1.HealthCheckResponse {
	return &healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_NOT_SERVING}
}
