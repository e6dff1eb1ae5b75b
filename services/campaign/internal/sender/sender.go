// Package sender turns planned touches into mails, each at most once: gates on
// fresh facts, then a claim that only one sender ever wins, then one more look
// at suppression, then SMTP, then the outcome. Whoever finds a claim without an
// outcome knows only that somebody tried: such a touch is ambiguous, it is
// parked for a person and never sent again by itself.
package sender

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nuid"
	"golang.org/x/sync/errgroup"

	"github.com/nurturehq/nurture/pkg/bus"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
	"github.com/nurturehq/nurture/services/campaign/internal/sender/mail"
)

// ErrRefused: an outcome that cannot be folded, however often it is tried.
var ErrRefused = errors.New("the outcome cannot be folded")

// Options are the settings of a sender.
type Options struct {
	// Batch is how many records at hand are worked on together, Workers how many
	// such batches at once. Defaults 512 and 2.
	Batch, Workers int
	// AttemptTimeout is how long a sender may take from its claim to its outcome;
	// a claim older than that without an outcome is ambiguous. Default 60 s.
	AttemptTimeout time.Duration
	// RetryMin and RetryMax bound the pause before a mail that the server did not
	// take now is tried again. Defaults 10 s and 1 h.
	RetryMin, RetryMax time.Duration
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	set(&o.AttemptTimeout, time.Minute)
	set(&o.RetryMin, 10*time.Second)
	set(&o.RetryMax, time.Hour)
	if o.Batch <= 0 {
		o.Batch = 512
	}
	if o.Workers <= 0 {
		o.Workers = 2
	}
	return o
}

// Deps are what a sender works with.
type Deps struct {
	Bus  *bus.Bus
	Log  *slog.Logger
	Now  func() time.Time
	Pool *Pool
	Mail *mail.Writer
	// States reads campaign's own states from the log itself.
	States func(ctx context.Context, leads []string) (map[string]*campaignv1.State, error)
	// Settle folds an outcome and returns the touch as it is then, when its record
	// is durable; nil when the journey knows no such touch. A repeat of the same id
	// changes nothing. ErrRefused: it can never be folded; any other error passes.
	Settle func(ctx context.Context, lead, id string, o *campaignv1.Outcome) (*campaignv1.Touch, error)
	// Leads asks ingest for people, from its log and not from a cache.
	Leads func(ctx context.Context, leads []string) (map[string]*leadv1.Lead, error)
	// Program finds a version of a program; nil when nobody has it.
	Program func(ctx context.Context, version string) (*program.Program, error)
	// Bounced tells that a server refused a reader for good.
	Bounced func(ctx context.Context, touch *campaignv1.Touch, lead, reason string)
}

// Sender sends. It is safe to run many, in one process or several.
type Sender struct {
	Deps
	o       Options
	id      string
	pace    *bus.Pace
	metrics *metrics
	// flying are the touches this process is working on: a redelivery of one of
	// them must wait for the work that goes on.
	mu     sync.Mutex
	flying map[string]bool
	// zones are those asked for so far: there are some hundreds in the world.
	zones sync.Map
	// quit is closed when a stop has waited for outcomes as long as it may.
	quit chan struct{}
}

// stopPatience is how long a stop waits for outcomes that cannot be stored.
const stopPatience = 15 * time.Second

// New makes a sender with a name of its own: it recognises its claims by it.
func New(o Options, d Deps) *Sender {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &Sender{
		Deps: d, o: o.withDefaults(), pace: bus.NewPace(), metrics: newMetrics(), flying: map[string]bool{}, quit: make(chan struct{}),
		id: host + "-" + strconv.Itoa(os.Getpid()) + "-" + nuid.Next(),
	}
}

// Run sends until ctx ends, then finishes what it has claimed.
func (s *Sender) Run(ctx context.Context) error {
	defer s.Pool.Close()
	all, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopPatience, func() { close(s.quit) }) })()
	for _, q := range s.queues() {
		all.Go(func() error { return s.work(ctx, q) })
	}
	return all.Wait()
}

func (s *Sender) work(ctx context.Context, q queue) error {
	return s.Bus.Work(ctx, bus.WorkOptions{
		Stream: bus.Campaign, Durable: q.durable, Kinds: []string{q.kind},
		Batch: q.batch, Workers: q.workers, AckWait: 2*s.o.AttemptTimeout + clockSlack,
	}, func(ctx context.Context, msgs []bus.Msg) { s.handle(ctx, q.class, msgs) })
}

// fly notes that this process works on a touch; false when it does already.
func (s *Sender) fly(touch string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flying[touch] {
		return false
	}
	s.flying[touch] = true
	return true
}

func (s *Sender) land(touch string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.flying, touch)
}
