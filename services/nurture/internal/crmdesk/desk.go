// Package crmdesk is the sales CRM of the all-in-one process: it receives the
// handoffs as signed webhooks, shows the dossier, and answers over handoff's
// REST API, as a real CRM integration would.
package crmdesk

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/sync/errgroup"
)

// Options say where a desk listens and whom it answers.
type Options struct {
	// HTTP is the listener it serves and closes.
	HTTP net.Listener
	// Secret verifies the webhooks: "whsec_" and base64, the same that handoff signs with.
	Secret string
	// Handoff is the base URL of handoff's REST API, e.g. "http://127.0.0.1:8083".
	Handoff string
	// Token opens handoff's API. Optional.
	Token string
	// Journal is a file that keeps the received webhooks over a restart. Empty: none.
	Journal string
	Log     *slog.Logger
	// Now stamps arrivals. Default time.Now.
	Now func() time.Time
	// Capacity is how many leads are kept; the oldest go first. Default 5000.
	Capacity int
}

// Desk receives handoffs and shows them.
type Desk struct {
	opts   Options
	store  *store
	hook   *webhooks.Webhook
	pages  *template.Template
	client *http.Client
	log    *journal
}

// New makes a desk and reads its journal; Run serves it.
func New(opts Options) (*Desk, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Capacity <= 0 {
		opts.Capacity = 5000
	}
	opts.Handoff = strings.TrimRight(opts.Handoff, "/")
	hook, err := webhooks.NewWebhook(opts.Secret)
	if err != nil {
		return nil, fmt.Errorf("read webhook secret: %w (it must be whsec_ and base64)", err)
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	d := &Desk{
		opts: opts, store: newStore(opts.Capacity), hook: hook, pages: pages,
		client: &http.Client{Timeout: 5 * time.Second},
	}
	d.log, err = openJournal(opts.Journal, d.store.add)
	return d, err
}

// Run serves HTTP until ctx ends, then lets open requests finish.
func (d *Desk) Run(ctx context.Context) error {
	web := &http.Server{Handler: d.handler(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := web.Serve(d.opts.HTTP); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve CRM desk: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if err := web.Shutdown(end); err != nil {
			return web.Close()
		}
		return nil
	})
	return errors.Join(g.Wait(), d.log.Close())
}
