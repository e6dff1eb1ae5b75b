// Package story plays the essay from beginning to end: so many leads arrive,
// about a fifth is ready now and goes to sales, the others are nurtured, and in
// the end every one of them is accounted for.
package story

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/box"
	"github.com/nurturehq/nurture/services/nurture/internal/funnel"
	"github.com/nurturehq/nurture/services/nurture/internal/population"
	"github.com/nurturehq/nurture/services/nurture/internal/traffic"
)

// Options say which story.
type Options struct {
	// Leads and Seed make the population.
	Leads int
	Seed  uint64
	// Config is the directory of the example configuration.
	Config string
	// Arrive is the time in which the leads arrive, For the time in which the
	// programs go on afterwards, Limit the time after which the story has failed.
	Arrive, For, Limit time.Duration
	// React is the longest a person takes to react.
	React time.Duration
	// TimeScale multiplies the waits of the programs.
	TimeScale float64
	Log       *slog.Logger
	// After looks at the end of the story while everything still runs. Optional.
	After func(ctx context.Context, b *box.Box) error
}

// Defaults is the story of a hundred leads in short time.
func Defaults() Options {
	return Options{
		Leads: 100, Seed: 1, Config: "deploy/example", Arrive: 3 * time.Second, For: 20 * time.Second,
		Limit: 3 * time.Minute, React: 300 * time.Millisecond, TimeScale: box.StoryScale, Log: slog.New(slog.DiscardHandler),
	}
}

// Report is how the story ended. Its JSON is the contract of `nurture story --json`.
type Report struct {
	// Captured is how many leads there are.
	Captured int `json:"captured"`
	// QualifiedAtArrival were ready the moment they said who they are; HandedOff
	// were ever assigned to sales; Nurturing are owned by marketing at the end;
	// Recycled were ever given back by sales.
	QualifiedAtArrival int `json:"qualified_at_arrival"`
	HandedOff          int `json:"handed_off"`
	Nurturing          int `json:"nurturing"`
	Recycled           int `json:"recycled"`
	// Mails were sent; DoubleSends are mails that arrived twice, as the mailboxes saw it.
	Mails       int `json:"mails"`
	DoubleSends int `json:"double_sends"`
	// Orphans, Parked and Unaccounted must be 0: see funnel.Snapshot.
	Orphans     int `json:"orphans"`
	Parked      int `json:"parked"`
	Unaccounted int `json:"unaccounted"`

	// Funnel is all that was counted, Took the time of the whole story.
	Funnel funnel.Snapshot `json:"-"`
	Took   time.Duration   `json:"-"`
	// Refused acts of the population are requests that a service refused for good.
	Refused int `json:"-"`
}

// ErrBroken: the story ended, and not everybody is accounted for.
var ErrBroken = errors.New("the story broke a promise")

// Check says which promises were broken.
func (r Report) Check(leads int) error {
	var broken []error
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"captured", r.Captured, leads},
		{"double_sends", r.DoubleSends, 0},
		{"orphans", r.Orphans, 0},
		{"parked", r.Parked, 0},
		{"unaccounted", r.Unaccounted, 0},
		{"refused requests", r.Refused, 0},
	} {
		if c.got != c.want {
			broken = append(broken, fmt.Errorf("%s is %d, not %d", c.name, c.got, c.want))
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrBroken, errors.Join(broken...))
}

// Play plays the story on fresh engines in a temporary directory and reports
// how it ended. The report's promises are for the caller to Check.
func Play(ctx context.Context, o Options) (report Report, err error) {
	dir, err := os.MkdirTemp("", "nurture-story-")
	if err != nil {
		return Report{}, fmt.Errorf("make a directory for the story: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	begin := time.Now()
	people := population.New(population.Options{Leads: o.Leads, Seed: o.Seed, Over: o.Arrive, React: o.React})
	b, err := box.Open(ctx, box.Options{
		Data: dir, Config: o.Config, NATSPort: -1, Doors: box.AnyDoors(), TimeScale: o.TimeScale,
		Refuse: population.Refuse(people), Log: o.Log,
	})
	if err != nil {
		return Report{}, err
	}
	crowd := traffic.New(traffic.Options{
		People: people, Visits: true, Ingest: b.URL(box.IngestHTTP), Source: traffic.ExampleSource, WriteKey: traffic.ExampleKey,
		Inbox: b.Inbox, Desk: b.Desk, Seed: o.Seed, React: o.React, Log: o.Log,
	})
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- b.Run(run, box.Extra{Name: "population", Run: crowd.Run}) }()
	teller := &teller{opts: o, box: b, crowd: crowd, begin: begin}
	report, err = teller.tell(ctx, ended)
	stop()
	return report, errors.Join(err, <-teller.rest(ended))
}

// teller waits for the end of the story.
type teller struct {
	opts  Options
	box   *box.Box
	crowd *traffic.Traffic
	begin time.Time
	early bool // the box has ended by itself
}

// every is how often the teller looks.
const every = 50 * time.Millisecond

func (t *teller) tell(ctx context.Context, ended chan error) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, t.opts.Limit)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last funnel.Snapshot
	for {
		select {
		case err := <-ended:
			t.early = true
			return Report{}, err
		case <-ctx.Done():
			return t.report(last), fmt.Errorf("the story did not end within %s: %s", t.opts.Limit, unrest(last, t.crowd, t.opts.Leads))
		case <-tick.C:
		}
		snap, err := t.box.Live.Snapshot(ctx)
		if err != nil {
			continue // the limit above ends it when this goes on
		}
		if last = snap; t.over(snap) {
			return t.finish(ctx)
		}
	}
}

// over: everybody has arrived and is at rest, and the programs had their time.
func (t *teller) over(s funnel.Snapshot) bool {
	if unrest(s, t.crowd, t.opts.Leads) != "" {
		return false
	}
	if time.Since(t.begin) > t.opts.Arrive+t.opts.For {
		return true
	}
	calm := s.NextWake.IsZero() || time.Until(s.NextWake) > 5*time.Second
	return calm && !t.crowd.Busy() && t.box.Live.Quiet() > time.Second
}

// unrest names what is still moving; empty when nothing is.
func unrest(s funnel.Snapshot, crowd *traffic.Traffic, leads int) string {
	passing := 0
	for _, stage := range []leadv1.Stage{
		leadv1.Stage_STAGE_NEW, leadv1.Stage_STAGE_QUALIFIED, leadv1.Stage_STAGE_ASSIGNED, leadv1.Stage_STAGE_REJECTED,
	} {
		passing += s.Stages[stage]
	}
	switch {
	case s.Captured < leads:
		return fmt.Sprintf("%d of %d leads were captured", s.Captured, leads)
	case s.Unaccounted > 0:
		return fmt.Sprintf("%d leads have no stage", s.Unaccounted)
	case passing > 0:
		return fmt.Sprintf("%d leads are between two stages %v", passing, s.Stages)
	case s.Orphans > 0:
		return fmt.Sprintf("%d leads are orphans", s.Orphans)
	case crowd.Visiting():
		return "people are still about to visit or to answer"
	}
	return ""
}

// finish lets the funnel read to the end of the log and reports.
func (t *teller) finish(ctx context.Context) (Report, error) {
	if err := t.box.Live.CatchUp(ctx); err != nil {
		return Report{}, err
	}
	snap, err := t.box.Live.Snapshot(ctx)
	if err != nil {
		return Report{}, err
	}
	if t.opts.After != nil {
		err = t.opts.After(ctx, t.box)
	}
	return t.report(snap), err
}

func (t *teller) report(s funnel.Snapshot) Report {
	return Report{
		Captured: s.Captured, QualifiedAtArrival: s.AtArrival, HandedOff: s.HandedOff, Nurturing: s.Nurturing(),
		Recycled: s.Recycled, Mails: s.Sent, DoubleSends: int(t.box.Inbox.Counts().Doubles),
		Orphans: s.Orphans, Parked: s.Parked, Unaccounted: s.Unaccounted,
		Funnel: s, Took: time.Since(t.begin), Refused: t.crowd.Refused(),
	}
}

// rest is what the box still has to say.
func (t *teller) rest(ended chan error) <-chan error {
	if t.early {
		done := make(chan error, 1)
		done <- nil
		return done
	}
	return ended
}
