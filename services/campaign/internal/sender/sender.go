// Package sender turns planned touches into mails, each at most once: gates on
// fresh facts, then a claim that only one sender ever wins, then one more look
// at suppression, then SMTP, then the outcome. Whoever finds a claim without an
// outcome knows only that somebody tried: such a touch is ambiguous, it is
// parked for a person and never sent again by itself.
package sender

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nuid"

	"github.com/nurturehq/nurture/pkg/bus"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
	"github.com/nurturehq/nurture/services/campaign/internal/sender/mail"
)

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
	log     *log
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
		Deps: d, o: o.withDefaults(), log: newLog(d.Bus.JS), metrics: newMetrics(), flying: map[string]bool{}, quit: make(chan struct{}),
		id: host + "-" + strconv.Itoa(os.Getpid()) + "-" + nuid.Next(),
	}
}

// Run sends until ctx ends, then finishes what it has claimed.
func (s *Sender) Run(ctx context.Context) error {
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() { s.log.run(context.WithoutCancel(ctx)) })
	}
	defer writing.Wait()
	defer close(s.log.queue)
	defer s.Pool.Close()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopPatience, func() { close(s.quit) }) })()
	return s.Bus.Work(ctx, bus.WorkOptions{
		Stream: bus.Campaign, Durable: "campaign-sender", Kinds: []string{bus.KindState},
		Batch: s.o.Batch, Workers: s.o.Workers, AckWait: 2*s.o.AttemptTimeout + clockSlack,
	}, s.handle)
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
