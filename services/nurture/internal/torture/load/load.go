// Package load is everybody who calls the services during a torture run: the
// people's browsers, the website's tracking, the readers of mails, and sales.
// Every call is in the journal before it is made, and again when its answer is
// there; what got no answer is sent again under the same id.
package load

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// Journal keeps lines; when it returns they are on the disk.
type Journal interface {
	Write(lines ...torture.Line) error
}

// Options are what the load works with.
type Options struct {
	Journal Journal
	// Ingest and Handoff are base URLs.
	Ingest, Handoff string
	// Source and Key are the website's.
	Source, Key string
	// JS publishes what goes straight to NATS.
	JS jetstream.JetStream
	// Seed decides who unsubscribes and what sales says.
	Seed uint64
	// Patience is how long an event without an answer is tried again.
	Patience time.Duration
	Now      func() time.Time
	// Merging is called when a merge, or the end of one, is under way.
	Merging func()
	// Fail is told what keeps the run from going on: the journal itself.
	Fail func(error)
}

// Load plays people.
type Load struct {
	Options
	client *http.Client
	busy   atomic.Int64
	mu     sync.Mutex
	// done are the mails and handoffs that were answered.
	done map[string]bool
	// leads are those of people as ingest named them first.
	leads map[string]string
}

// New makes a load.
func New(o Options) *Load {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 5 * time.Second}
	return &Load{
		Options: o, done: map[string]bool{}, leads: map[string]string{},
		client: &http.Client{Timeout: 4 * time.Second, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// Play plays all people, each in order, all at once, and whoever finds out that
// two are one.
func (l *Load) Play(ctx context.Context, people []*torture.Person, pairs []torture.Pair) {
	ended := map[string]chan struct{}{}
	for _, p := range people {
		done := make(chan struct{})
		ended[p.Key] = done
		l.begin(func() {
			defer close(done)
			l.person(ctx, p)
		})
	}
	for _, p := range pairs {
		l.begin(func() {
			if l.known(ctx, p, ended[p.Into.Key], ended[p.From.Key]) {
				l.pair(ctx, p)
			}
		})
	}
}

// begin does something beside everything else.
func (l *Load) begin(do func()) {
	l.busy.Add(1)
	go func() {
		defer l.busy.Add(-1)
		do()
	}()
}

// Busy is how many people have something left to say.
func (l *Load) Busy() int { return int(l.busy.Load()) }

// person plays one script: the next event is sent when the one before has its
// answer, or nobody hopes for one any more.
func (l *Load) person(ctx context.Context, p *torture.Person) {
	if !sleep(ctx, p.At) {
		return
	}
	for steps := p.Steps; len(steps) > 0; {
		n := 1
		for n < len(steps) && steps[n].With {
			n++
		}
		if !sleep(ctx, steps[0].Pause) {
			return
		}
		l.send(ctx, p, steps[:n])
		steps = steps[n:]
	}
}

// send sends steps that go together, and again what its sender sends twice.
func (l *Load) send(ctx context.Context, p *torture.Person, steps []torture.Step) {
	c := call{lines: make([]torture.Line, len(steps)), giveUp: steps[0].GiveUp}
	for i, s := range steps {
		c.lines[i] = torture.Line{
			ID: s.ID, Who: p.Key, Seq: s.Seq, Kind: s.Kind, Type: s.Type, Consent: s.Consent, Hash: torture.HashOf(s.Type, s.Message),
		}
	}
	c.do = l.way(p, steps)
	if l.try(ctx, c) && steps[0].Again && sleep(ctx, 200*time.Millisecond) {
		c.giveUp = true
		l.try(ctx, c)
	}
}

// way is how steps reach the services.
func (l *Load) way(p *torture.Person, steps []torture.Step) func(context.Context) answer {
	switch steps[0].Kind {
	case torture.Form, torture.Bad:
		return func(ctx context.Context) answer { return l.form(ctx, p, steps[0]) }
	case torture.Inbound, torture.Poison:
		return func(ctx context.Context) answer { return l.publish(ctx, p, steps[0]) }
	default:
		return func(ctx context.Context) answer { return l.track(ctx, p, steps) }
	}
}

// call is one request with the events it carries.
type call struct {
	lines []torture.Line
	// giveUp: there is no second try.
	giveUp bool
	do     func(context.Context) answer
}

// answer is what came back.
type answer struct {
	status torture.Status
	code   int
	reason string
	lead   string
}

// try makes a call until there is an answer; true when it is an acknowledgement.
func (l *Load) try(ctx context.Context, c call) bool {
	end := l.Now().Add(l.Patience)
	pause := 100 * time.Millisecond
	for n := 1; ; n++ {
		if !l.write(c.lines, func(line *torture.Line) { line.Op, line.Try = torture.OpSend, n }) {
			return false
		}
		a := c.do(ctx)
		if !l.write(c.lines, func(line *torture.Line) {
			line.Op, line.Try, line.Status, line.Code, line.Reason = torture.OpAnswer, n, a.status, a.code, a.reason
			if a.lead != "" {
				line.Lead = a.lead
			}
		}) {
			return false
		}
		if a.status == torture.Acked && a.lead != "" && c.lines[0].Kind == torture.Form {
			l.met(c.lines[0].Who, a.lead)
		}
		if a.status != torture.Unknown || c.giveUp || l.Now().After(end) || !sleep(ctx, pause) {
			return a.status == torture.Acked
		}
		pause = min(2*pause, time.Second)
	}
}

// write puts a line for each event into the journal.
func (l *Load) write(lines []torture.Line, fill func(*torture.Line)) bool {
	copies := make([]torture.Line, len(lines))
	for i, line := range lines {
		fill(&line)
		copies[i] = line
	}
	if err := l.Journal.Write(copies...); err != nil {
		l.Fail(fmt.Errorf("the journal cannot be written, so nothing can be proved: %w", err))
		return false
	}
	return true
}

// once says whether something is done for the first time.
func (l *Load) once(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done[what] {
		return false
	}
	l.done[what] = true
	return true
}

// sleep waits; false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
