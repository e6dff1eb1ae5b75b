// Package run carries out one torture run: it starts the processes and the
// world outside, plays the plan against them, waits until all work has ended,
// and hands the evidence to the checker.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/config"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/fleet"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/journal"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/load"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/sink"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/witness"
)

// Options say what to run, and with what.
type Options struct {
	Plan    *torture.Plan
	Profile torture.Profile
	// Dir keeps everything of the run; it must be new.
	Dir string
	// Bin is the directory of the four services' binaries.
	Bin string
	// NATS is the command that runs a durable NATS server; the data directory
	// and the port are appended.
	NATS []string
	Out  io.Writer
	Now  func() time.Time
}

// run is one run under way.
type run struct {
	Options
	place   config.Place
	journal *journal.Journal
	fleet   *fleet.Fleet
	bus     *bus.Bus
	load    *load.Load
	ambush  *ambush
	turns   map[string]*sync.Mutex
	// stubborn are processes that did not end when they were asked to.
	stubborn sync.Map
	mailDoor,
	crmDoor net.Listener
	// world counts the sinks that still serve.
	world sync.WaitGroup
	fail  context.CancelCauseFunc
}

// Do runs and returns the evidence. An error says that there is none.
func Do(ctx context.Context, o Options) (*torture.Evidence, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &run{Options: o, fail: fail}
	ev, err := r.do(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = errors.Join(cause, err)
	}
	return ev, err
}

func (r *run) do(ctx context.Context) (ev *torture.Evidence, err error) {
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	world, end := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		end()
		r.world.Wait()
		err = errors.Join(err, r.journal.Close())
	}()
	if err := r.openWorld(ctx, world); err != nil {
		return nil, err
	}
	defer r.fleet.Stop(5 * time.Second)
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	defer r.bus.Close()
	r.say("torture: %d people and %d blows in %v, seed %d, everything is in %s", len(r.Plan.People), len(r.Plan.Blows), r.Profile.Load, r.Plan.Seed, r.Dir)
	if err := r.storm(ctx); err != nil {
		return nil, err
	}
	return r.evidence(ctx)
}

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.Out, format+"\n", args...) }

// prepare makes the directory, the journal and the settings.
func (r *run) prepare(ctx context.Context) error {
	for _, d := range []string{"logs", "nats", "redis"} {
		if err := os.MkdirAll(filepath.Join(r.Dir, d), 0o700); err != nil {
			return fmt.Errorf("make directory of the run: %w", err)
		}
	}
	var err error
	if r.journal, err = journal.Open(filepath.Join(r.Dir, "journal.jsonl"), r.Now); err != nil {
		return err
	}
	if err := r.openDoors(ctx); err != nil {
		return err
	}
	if err := r.place.WriteSettings(); err != nil {
		return err
	}
	r.fleet = fleet.New(filepath.Join(r.Dir, "logs"), r.Now)
	r.ambush, r.turns = newAmbush(), map[string]*sync.Mutex{}
	for _, name := range append(torture.Instances(), "nats", "redis") {
		r.turns[name] = &sync.Mutex{}
	}
	return nil
}

// openDoors listens for the world outside and finds ports for everybody else.
func (r *run) openDoors(ctx context.Context) (err error) {
	ports, err := fleet.Ports(ctx, 2+2*len(torture.Instances()))
	if err != nil {
		return err
	}
	at := func(i int) string { return fleet.Addr(ports[i]) }
	var lc net.ListenConfig
	if r.mailDoor, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("listen for mails: %w", err)
	}
	if r.crmDoor, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("listen for webhooks: %w", err)
	}
	keys, err := newKeys()
	if err != nil {
		return err
	}
	r.place = config.Place{
		Dir: r.Dir, NATS: at(0), Redis: at(1), SMTP: r.mailDoor.Addr().String(),
		Webhook: "http://" + r.crmDoor.Addr().String() + sink.WebhookPath, Secret: keys.webhook, Key: keys.common,
	}
	for i, name := range torture.Instances() {
		r.place.Instances = append(r.place.Instances, config.Instance{
			Name: name, Service: torture.ServiceOf(name), HTTP: at(2 + 2*i), GRPC: at(3 + 2*i),
		})
	}
	return nil
}

// openWorld starts the mail server and the CRM; nobody ever kills them.
func (r *run) openWorld(ctx, world context.Context) error {
	roles := map[string]torture.Role{}
	for _, p := range r.Plan.People {
		roles[p.Key] = p.Role
	}
	mails := sink.NewMailServer(sink.MailOptions{
		Journal: r.journal, Now: r.Now, Seed: r.Plan.Seed, Before: r.ambush.meet,
		Arrived: func(m sink.Mail) { r.load.Read(ctx, m, roles[m.Who]) },
	})
	crm, err := sink.NewCRM(sink.CRMOptions{
		Journal: r.journal, Seed: r.Plan.Seed, Secret: r.place.Secret, Before: func() { r.ambush.meet(r.place.First("handoff").Name) },
		Arrived: func(h sink.Hook) { r.load.Sell(ctx, h) },
	})
	if err != nil {
		return err
	}
	serve := func(run func(context.Context, net.Listener) error, l net.Listener) {
		r.world.Go(func() {
			if err := run(world, l); err != nil {
				r.fail(err)
			}
		})
	}
	serve(mails.Run, r.mailDoor)
	serve(crm.Run, r.crmDoor)
	return nil
}

// startPatience bounds the wait for processes to come up.
const startPatience = 45 * time.Second

// start starts the engines, then the services, and connects to them.
func (r *run) start(ctx context.Context) error {
	ready, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for _, s := range r.engines() {
		if err := errors.Join(r.fleet.Start(ctx, s), r.fleet.Ready(ready, s.Name)); err != nil {
			return err
		}
	}
	for _, i := range r.place.Instances {
		if err := r.fleet.Start(ctx, r.service(i)); err != nil {
			return err
		}
	}
	if err := r.allReady(ready); err != nil {
		return err
	}
	var err error
	if r.bus, err = bus.Connect(ctx, bus.Options{URL: "nats://" + r.place.NATS, Name: "torture"}); err != nil {
		return err
	}
	r.load = load.New(load.Options{
		Journal: r.journal, Ingest: "http://" + r.place.First("ingest").HTTP, Handoff: "http://" + r.place.First("handoff").HTTP,
		Source: config.Source, Key: config.WriteKey, JS: r.bus.JS, Seed: r.Plan.Seed, Now: r.Now, Fail: r.fail,
		Patience: r.Profile.Load, Merging: func() { r.ambush.meet(r.place.First("ingest").Name) },
	})
	return nil
}

func (r *run) allReady(ctx context.Context) error {
	var all errgroup.Group
	for _, i := range r.place.Instances {
		all.Go(func() error { return r.fleet.Ready(ctx, i.Name) })
	}
	return all.Wait()
}

func (r *run) engines() []fleet.Spec {
	_, natsPort, _ := net.SplitHostPort(r.place.NATS)
	_, redisPort, _ := net.SplitHostPort(r.place.Redis)
	return []fleet.Spec{
		{
			Name: "nats", Bin: r.NATS[0], Ready: r.place.NATS,
			Args: append(append([]string{}, r.NATS[1:]...), filepath.Join(r.Dir, "nats"), natsPort),
		},
		{
			// It keeps what it was told over a kill: old answers are worse than none.
			Name: "redis", Bin: "redis-server", Ready: r.place.Redis,
			Args: []string{"--bind", "127.0.0.1", "--port", redisPort, "--dir", filepath.Join(r.Dir, "redis"), "--appendonly", "yes", "--save", ""},
		},
	}
}

func (r *run) service(i config.Instance) fleet.Spec {
	return fleet.Spec{
		Name: i.Name, Bin: filepath.Join(r.Bin, i.Service), Args: []string{"--config", r.place.File(i.Name)},
		Ready: "http://" + i.HTTP + "/readyz",
	}
}

// witness reads on the run's own connection.
func (r *run) witness() *witness.Witness { return witness.New(r.bus.JS) }
