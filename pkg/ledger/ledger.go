package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// Source is one stream a service folds.
type Source struct {
	// Stream is the name, e.g. bus.Leads.
	Stream string
	// Kinds are the last tokens wanted, e.g. "state" or "outcome.*".
	Kinds []string
	// Patient inputs may wait a moment for company while the service is busy, so
	// that many share a commit: for what nobody waits for.
	Patient bool
}

// Options say what a service is. Service, Stream, New and Fold are required.
type Options[S proto.Message] struct {
	// Service names consumers, parked messages and metrics, e.g. "scoring".
	Service string
	// Stream is the service's own, e.g. bus.Scores.
	Stream string
	// New makes the state of a lead never seen.
	New func() S
	// Fold decides.
	Fold Fold[S]
	// Sources are what it folds besides commands; its own wake-ups and redriven
	// inputs come by themselves.
	Sources []Source
	// Enrich may set View on inputs just before they are folded, in one call for
	// all that are at hand. Optional. Its errors are transient unless it parks.
	Enrich func(ctx context.Context, ins []*Input) error
	// Codec hides what is personal in stored records. Optional.
	Codec Codec
	// Committed hears of every record that this process wrote, whole, when it is
	// durable: for metrics. It must not keep or change it. Optional.
	Committed func(rec *ledgerv1.Record)
	// UrgentCopies stores a copy of each urgent record with it, in the same commit,
	// under bus.KindUrgent: who reads those alone is never behind all the other
	// records. It makes that commit an atomic batch, so it is for what is rare.
	UrgentCopies bool
	// Lanes is how many goroutines share the buckets. Default 1, at most 64.
	Lanes int
	// RecentIDs is how many ids of commands a state remembers. Default 16.
	RecentIDs int
	// CacheLeads bounds the states each lane keeps in memory. Default 10000.
	CacheLeads int
}

// Deps are what a ledger works with.
type Deps struct {
	Bus *bus.Bus
	// Redis caches states; nil or unreachable costs speed, nothing else.
	Redis redis.UniversalClient
	Log   *slog.Logger
	// Now is the clock of commands. Default time.Now.
	Now func() time.Time
}

// Ledger keeps one service's states on its stream.
type Ledger[S proto.Message] struct {
	o       Options[S]
	d       Deps
	lanes   []*lane[S]
	cache   *cache
	metrics *metrics
	tracer  trace.Tracer
	pace    *bus.Pace
	stopped chan struct{}
}

// New checks the options and makes a ledger; nothing runs before Run.
func New[S proto.Message](o Options[S], d Deps) (*Ledger[S], error) {
	if o.Service == "" || o.Stream == "" || o.New == nil || o.Fold == nil || d.Bus == nil {
		return nil, errors.New("open ledger: Service, Stream, New, Fold and Bus are required")
	}
	if o.Lanes < 0 || o.Lanes > bus.Buckets {
		return nil, fmt.Errorf("open ledger of %s: %d lanes: want 1 to %d", o.Service, o.Lanes, bus.Buckets)
	}
	o.Lanes = orDefault(o.Lanes, 1)
	o.RecentIDs = orDefault(o.RecentIDs, 16)
	o.CacheLeads = orDefault(o.CacheLeads, 10000)
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	l := &Ledger[S]{o: o, d: d, metrics: newMetrics(o.Service), tracer: newTracer(), pace: bus.NewPace(), stopped: make(chan struct{})}
	l.cache = newCache(d.Redis, o.Stream, d.Now, l.metrics)
	for n := range o.Lanes {
		l.lanes = append(l.lanes, newLane(l, n))
	}
	return l, nil
}

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

// Run works until ctx ends: it folds the sources, the wake-ups and the commands
// of Update. What is at hand at the end is committed and acknowledged. It
// returns an error only if it could not begin or a consumer was deleted.
func (l *Ledger[S]) Run(ctx context.Context) error {
	defer close(l.stopped)
	err := l.run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (l *Ledger[S]) run(ctx context.Context) error {
	run, stop := context.WithCancel(ctx)
	defer stop()
	var lanes, feeds errgroup.Group
	l.cache.distrust()
	feeds.Go(func() error {
		l.cache.keep(run, func(err error) {
			l.d.Log.Warn("redis is not usable, states are read from the log", "service", l.o.Service, "error", err)
		})
		return nil
	})
	feeds.Go(func() error { l.cache.writeOut(run); return nil })
	for _, ln := range l.lanes {
		opened, err := l.openFeeds(run, ln)
		if err != nil {
			stop()
			return errors.Join(err, feeds.Wait(), lanes.Wait())
		}
		for _, o := range opened {
			feeds.Go(func() error {
				defer stop()
				return o.feed.run(run, o.cons, ln.in, l.parkUnread)
			})
		}
		lanes.Go(func() error { ln.run(run); return nil })
	}
	feeds.Go(func() error { return l.d.Bus.WatchAdvisories(run) })
	return errors.Join(feeds.Wait(), lanes.Wait())
}

// parkUnread parks a message that is not even about a lead.
func (l *Ledger[S]) parkUnread(m message, cause error) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := l.parkMessage(ctx, m, "", parkCause{reason: bus.ReasonUndecodable, err: cause, tries: 1}); err != nil {
		l.d.Log.Error("park message", "service", l.o.Service, "error", err)
	}
}

// openFeed is a feed with its consumer.
type openFeed struct {
	feed *feed
	cons jetstream.Consumer
}

// openFeeds opens the lane's consumers on every stream the service reads: one
// for all buckets when there is only one lane, else one per bucket. (A consumer
// with many filters is slow: the server tries them one by one.)
func (l *Ledger[S]) openFeeds(ctx context.Context, ln *lane[S]) ([]openFeed, error) {
	var opened []openFeed
	for _, src := range l.sources() {
		created, err := l.created(ctx, src.Stream)
		if err != nil {
			return nil, err
		}
		stream, err := l.d.Bus.JS.Stream(ctx, src.Stream)
		if err != nil {
			return nil, fmt.Errorf("open stream %s: %w", src.Stream, bus.Classify(err))
		}
		for _, bucket := range l.bucketsOf(ln.n) {
			f := &feed{log: l.d.Log, stream: stream, name: src.Stream, service: l.o.Service, created: created, now: l.d.Now, metrics: l.metrics}
			f.serve(bucket, src.Kinds, l.patientKinds(src.Stream))
			cons, err := f.open(ctx)
			if err != nil {
				return nil, err
			}
			ln.feeds[f] = &window{}
			opened = append(opened, openFeed{feed: f, cons: cons})
		}
	}
	return opened, nil
}

// bucketsOf lists a lane's buckets: "*" for the only lane.
func (l *Ledger[S]) bucketsOf(lane int) []string {
	if l.o.Lanes == 1 {
		return []string{anyBucket}
	}
	var buckets []string
	for b := lane; b < bus.Buckets; b += l.o.Lanes {
		buckets = append(buckets, fmt.Sprintf("%02d", b))
	}
	return buckets
}

// sources are the service's, and its own stream for wake-ups and redriven inputs.
func (l *Ledger[S]) sources() []Source {
	own := Source{Stream: l.o.Stream, Kinds: []string{bus.KindDue, bus.KindRedrive + ".*"}}
	all := []Source{}
	for _, s := range l.o.Sources {
		if s.Stream == l.o.Stream {
			own.Kinds = append(own.Kinds, s.Kinds...)
			continue
		}
		all = append(all, s)
	}
	return append(all, own)
}

// patientKinds are the first tokens of the kinds of a stream that may wait: those
// of patient sources, and wake-ups, which are late by nature.
func (l *Ledger[S]) patientKinds(stream string) map[string]bool {
	kinds := map[string]bool{bus.KindDue: stream == l.o.Stream}
	for _, src := range l.o.Sources {
		for _, kind := range src.Kinds {
			if first, _, _ := strings.Cut(kind, "."); src.Stream == stream && src.Patient {
				kinds[first] = true
			}
		}
	}
	return kinds
}

// created is the identity of a stream: its creation time.
func (l *Ledger[S]) created(ctx context.Context, name string) (uint64, error) {
	s, err := l.d.Bus.JS.Stream(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("open stream %s: %w", name, bus.Classify(err))
	}
	return uint64(s.CachedInfo().Created.UnixNano()), nil //nolint:gosec // after 1970
}

// laneOf is the lane that works a lead's bucket.
func (l *Ledger[S]) laneOf(lead string) *lane[S] {
	b := bus.BucketOf(lead)
	return l.lanes[(int(b[0]-'0')*10+int(b[1]-'0'))%len(l.lanes)]
}
