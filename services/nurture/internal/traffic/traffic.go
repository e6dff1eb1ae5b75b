// Package traffic plays a population against running services: it fills in the
// real forms, calls the real tracking API, reads the mails that arrive, clicks
// and unsubscribes as people do, and answers the handoffs as sales does.
package traffic

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nurturehq/nurture/services/nurture/internal/crmdesk"
	"github.com/nurturehq/nurture/services/nurture/internal/inbox"
	"github.com/nurturehq/nurture/services/nurture/internal/population"
)

// Options say who does what to whom. All but Visits are required.
type Options struct {
	People []*population.Person
	// Visits: the people arrive. Without, they only react to mails.
	Visits bool
	// Ingest is the base URL of ingest's HTTP API.
	Ingest string
	// Source and WriteKey are how the website talks to ingest.
	Source, WriteKey string
	Inbox            *inbox.Inbox
	Desk             *crmdesk.Desk
	// Seed and React are the population's own.
	Seed  uint64
	React time.Duration
	Log   *slog.Logger
}

// Traffic is a population at work.
type Traffic struct {
	opts    Options
	site    *site
	byEmail map[string]*population.Person
	acts    sync.WaitGroup
	pending atomic.Int64 // acts still ahead
	owed    atomic.Int64 // visits and answers among them
	refused atomic.Int64
	mails   atomic.Uint64
	answers atomic.Uint64
}

// slots bounds the requests under way at once.
const slots = 64

// New makes the traffic; Run plays it.
func New(o Options) *Traffic {
	t := &Traffic{opts: o, site: newSite(o), byEmail: make(map[string]*population.Person, len(o.People))}
	for _, p := range o.People {
		t.byEmail[p.Profile.Email] = p
	}
	if o.Visits {
		t.pending.Store(int64(len(o.People)))
		t.owed.Store(int64(len(o.People)))
	}
	return t
}

// Run plays until ctx ends. Its error is always nil or what broke a reader: an
// act that was refused is logged and counted.
func (t *Traffic) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.readMails(ctx) })
	g.Go(func() error { return t.answerHandoffs(ctx) })
	if t.opts.Visits {
		for _, p := range t.opts.People {
			t.start(ctx, p)
		}
	}
	err := g.Wait()
	t.acts.Wait()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end was asked for
	}
	return err
}

// start plays a person's visit.
func (t *Traffic) start(ctx context.Context, p *population.Person) {
	t.acts.Go(func() {
		defer t.pending.Add(-1)
		defer t.owed.Add(-1)
		t.walk(ctx, p, p.Visit)
	})
}

// walk takes steps one after the other, each at its time from now.
func (t *Traffic) walk(ctx context.Context, p *population.Person, steps []population.Step) {
	begin := time.Now()
	for _, s := range steps {
		if !wait(ctx, s.At-time.Since(begin)) {
			return
		}
		t.check(ctx, string(s.Kind), p.N, t.site.step(ctx, p, s))
	}
}

// later does something after a while, and keeps the traffic busy until then.
func (t *Traffic) later(ctx context.Context, after time.Duration, do func()) {
	t.pending.Add(1)
	t.acts.Go(func() {
		defer t.pending.Add(-1)
		if wait(ctx, after) {
			do()
		}
	})
}

func (t *Traffic) check(ctx context.Context, act string, person int, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	t.refused.Add(1)
	t.opts.Log.Warn("a person could not do it", "act", act, "person", person, "error", err)
}

// Busy says whether somebody is still about to do something: a step, a reaction
// to a mail or an answer of sales.
func (t *Traffic) Busy() bool {
	return t.pending.Load() > 0 ||
		t.mails.Load() < t.opts.Inbox.Counts().Received ||
		t.answers.Load() < t.opts.Desk.Counts().Events
}

// Visiting says whether somebody is still on the way to raise the hand, or a rep
// has not answered yet. Reactions to mails do not count: they never end.
func (t *Traffic) Visiting() bool {
	return t.owed.Load() > 0 || t.answers.Load() < t.opts.Desk.Counts().Events
}

// Refused is how many acts the services refused for good.
func (t *Traffic) Refused() int { return int(t.refused.Load()) }

// wait says whether the time passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func newClient() *http.Client {
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: slots, MaxConnsPerHost: slots},
		// A click leads away from here: where to is for the browser to know.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
