package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"

	"github.com/nurturehq/nurture/services/ingest/internal/limit"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// errFast: the source sends more than its limits allow.
var errFast = errors.New("the source sends more events than its limits allow; send again later, or raise limits.events_per_second in sources.yaml")

// maxVisitors is how many addresses of the internet are remembered.
const maxVisitors = 50_000

// gate keeps one sender from taking what is the others'.
type gate struct {
	mu       sync.Mutex
	shares   *limit.Shares
	rates    map[string]*limit.Bucket
	rejects  map[string]*limit.Bucket
	visitors *limit.Visitors
}

func newGate(total int) *gate {
	return &gate{
		shares: limit.NewShares(total), visitors: limit.NewVisitors(maxVisitors),
		rates: map[string]*limit.Bucket{}, rejects: map[string]*limit.Bucket{},
	}
}

// enter takes places for n events of a source. src is nil for who is in no
// sources.yaml: the platform's own services, which no limit of a source binds.
func (g *gate) enter(src *source.Source, n int, now time.Time) (leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	name, part := "", 1.0
	if src != nil {
		name, part = src.Name, src.Limits.Share
	}
	if !g.shares.Enter(name, n, part) {
		return nil, rpc.RetryAfter(errBusy, codes.ResourceExhausted, busyFor)
	}
	if src != nil {
		if wait := bucket(g.rates, name).Take(float64(n), src.Limits.Rate, src.Limits.Burst, now); wait > 0 {
			g.shares.Leave(name, n)
			return nil, rpc.RetryAfter(errFast, codes.ResourceExhausted, wait)
		}
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.shares.Leave(name, n)
	}, nil
}

// visit asks for one form of a visitor. What a browser sends beyond the limits is
// kept aside, as much again and no more: then, and to a program at once, the error
// says when to come again.
func (g *gate) visit(src *source.Source, ip string, program bool, now time.Time) (aside bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	take := func(who string) time.Duration {
		return g.visitors.Take(who, src.Limits.Visitor/60, src.Limits.VisitorOnce, now)
	}
	wait := take(src.Name + " " + ip)
	switch {
	case wait == 0:
		return false, nil
	case !program && take(src.Name+" "+ip+" aside") == 0:
		return true, nil
	}
	return false, rpc.RetryAfter(fmt.Errorf("too many forms come from this address; send again in %s", wait.Round(time.Second)), codes.ResourceExhausted, wait)
}

// keeps reports whether one more reject of a source may be kept.
func (g *gate) keeps(src *source.Source, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return bucket(g.rejects, src.Name).Take(1, src.Limits.Rejects/60, max(1, src.Limits.Rejects), now) == 0
}

// bucket gives a source's bucket. There are no more than sources in all the
// files that this process ever read.
func bucket(buckets map[string]*limit.Bucket, name string) *limit.Bucket {
	b, ok := buckets[name]
	if !ok {
		b = &limit.Bucket{}
		buckets[name] = b
	}
	return b
}

// admit is accept for senders who can be told to come again: within the limits
// of the source, which all submissions come from.
func (s *Service) admit(ctx context.Context, subs []person.Submission) []person.Outcome {
	if len(subs) == 0 {
		return nil
	}
	began := s.deps.Now()
	name := subs[0].Apply.GetCapture().GetSource()
	src, _ := s.sources.Current().Named(name)
	leave, err := s.gate.enter(src, len(subs), began)
	if err != nil {
		s.tally.throttled(ctx, name, len(subs), errors.Is(err, errFast))
		return s.count(ctx, subs, refuseAll(make([]person.Outcome, len(subs)), err))
	}
	defer leave()
	outcomes := s.flow(ctx, subs)
	s.tally.took(ctx, name, s.deps.Now().Sub(began))
	return outcomes
}

// visit asks for one form of a visitor of a source's pages.
func (s *Service) visit(ctx context.Context, src *source.Source, ip string, program bool) (aside bool, err error) {
	aside, err = s.gate.visit(src, ip, program, s.deps.Now())
	if err != nil {
		s.tally.throttled(ctx, src.Name, 1, true)
	}
	return aside, err
}
