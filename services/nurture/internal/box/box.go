// Package box puts everything into one process: the engines, the four services
// as they run anywhere else, a mailbox for every lead and a CRM for sales.
package box

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/daemon"
	"github.com/nurturehq/nurture/pkg/rpc"
	"github.com/nurturehq/nurture/services/nurture/internal/crmdesk"
	"github.com/nurturehq/nurture/services/nurture/internal/funnel"
	"github.com/nurturehq/nurture/services/nurture/internal/inbox"
)

// Options say where everything is. Data, Config and Log are required.
type Options struct {
	// Data is the directory that keeps the log, the keys and the CRM's journal.
	Data string
	// Config is the directory with sources, model, programs, templates and routes.
	Config string
	// Access is a file that says whose tokens open the API. Empty: access.yaml in
	// Config when it is there, else callers on this machine need no token.
	Access string
	// NATSURL and RedisURL name engines that run already; empty: embedded ones.
	NATSURL, RedisURL string
	// MonitorURL is the monitoring endpoint of that NATS, asked once whether it
	// fsyncs before it acknowledges. Optional.
	MonitorURL string
	// NATSPort is where an embedded NATS listens on loopback; -1 for a free port.
	NATSPort int
	// Doors are the addresses to listen on: Doors() or AnyDoors().
	Doors []Door
	// TimeScale multiplies every wait of the programs; 0 and 1 keep them.
	TimeScale float64
	// Refuse names mailboxes that do not exist. Optional.
	Refuse func(address string) bool
	Log    *slog.Logger
}

// Box is everything, opened and ready to run.
type Box struct {
	opts    Options
	keys    Keys
	natsURL string
	redis   redis.UniversalClient
	access  *rpc.Access
	open    daemon.Closers
	doors   map[string]net.Listener
	parts   []part

	// Bus is the connection to the log.
	Bus *bus.Bus
	// Inbox has the leads' mails, Desk what sales got, Live counts the leads.
	Inbox *inbox.Inbox
	Desk  *crmdesk.Desk
	Live  *funnel.Live
}

// Extra is one more part that runs while the box does, and stops first.
type Extra struct {
	Name string
	Run  func(ctx context.Context) error
}

// Open starts the engines, listens on the doors and puts the services together.
// On an error everything is closed again.
func Open(ctx context.Context, o Options) (_ *Box, err error) {
	b := &Box{opts: o}
	defer func() {
		if err != nil {
			b.open.CloseInto(&err)
		}
	}()
	if err := checkConfig(o.Config); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w; choose another with --data", err)
	}
	if b.keys, err = loadKeys(o.Data); err != nil {
		return nil, err
	}
	if b.access, err = rpc.OpenAccess(rpc.AccessOptions{File: o.accessFile(), Log: o.Log}); err != nil {
		return nil, err
	}
	if b.doors, err = openDoors(ctx, o.Doors); err != nil {
		return nil, err
	}
	b.open.Add("doors", func(context.Context) error { closeDoors(b.doors); return nil })
	if err := b.openEngines(ctx); err != nil {
		return nil, err
	}
	if err := b.openPages(); err != nil {
		return nil, err
	}
	return b, b.openServices()
}

// openPages makes what stands for the world outside: mailboxes and the CRM.
func (b *Box) openPages() (err error) {
	b.Inbox, err = inbox.New(inbox.Options{
		SMTP: b.doors[InboxSMTP], HTTP: b.doors[InboxHTTP], Log: b.opts.Log, Refuse: b.opts.Refuse,
	})
	if err != nil {
		return err
	}
	b.Desk, err = crmdesk.New(crmdesk.Options{
		HTTP: b.doors[DeskHTTP], Secret: b.keys.Webhook, Handoff: b.URL(HandoffHTTP), Token: b.access.Token(),
		Journal: filepath.Join(b.opts.Data, "crmdesk.jsonl"), Log: b.opts.Log,
	})
	b.Live = funnel.Follow(b.Bus, time.Now)
	return err
}

// Run runs everything until ctx ends, then drains: the extras first, then the
// services, who asks before who is asked, the engines last.
func (b *Box) Run(ctx context.Context, extras ...Extra) (err error) {
	defer b.open.CloseInto(&err)
	phases := []phase{{"inbox", b.Inbox.Run}, {"CRM desk", b.Desk.Run}, {"forgetting", b.forget}, {"funnel", b.Live.Run}}
	for _, p := range b.parts {
		phases = append(phases, phase(p))
	}
	for _, e := range extras {
		phases = append(phases, phase{e.Name, e.Run})
	}
	return runPhases(ctx, phases)
}

// URL is the base URL of a door.
func (b *Box) URL(door string) string { return "http://" + b.Addr(door) }

// Addr is where a door listens, host:port.
func (b *Box) Addr(door string) string { return b.doors[door].Addr().String() }

// NATSURL is where the log can be reached.
func (b *Box) NATSURL() string { return b.natsURL }

// accessFile is where the tokens are; empty: nowhere.
func (o Options) accessFile() string {
	if o.Access != "" {
		return o.Access
	}
	if file := filepath.Join(o.Config, accessFile); isFile(file) {
		return file
	}
	return ""
}

// checkConfig looks for the directory before anything is opened.
func checkConfig(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist) || err == nil && !info.IsDir():
		return fmt.Errorf("there is no configuration directory %s: name one with --config (the example is deploy/example of the repository)", dir)
	case err != nil:
		return fmt.Errorf("read configuration directory: %w", err)
	}
	return nil
}
