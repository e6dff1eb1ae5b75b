package inbox

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/emersion/go-smtp"

	"golang.org/x/sync/errgroup"
)

// Options say where an inbox listens and how it behaves.
type Options struct {
	// SMTP and HTTP are the listeners it serves and closes.
	SMTP, HTTP net.Listener
	Log        *slog.Logger
	// Now stamps arrivals. Default time.Now.
	Now func() time.Time
	// Refuse names recipients that do not exist: their mails bounce with 550
	// 5.1.1. Nil: every address exists.
	Refuse func(address string) bool
	// Capacity is how many mails are kept; the oldest go first. Default 5000.
	Capacity int
}

// Inbox receives mails and shows them.
type Inbox struct {
	opts  Options
	store *store
	pages *template.Template
	// client follows List-Unsubscribe as a mailbox provider does.
	client *http.Client
}

// New makes an inbox; Run serves it.
func New(opts Options) (*Inbox, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Refuse == nil {
		opts.Refuse = func(string) bool { return false }
	}
	if opts.Capacity <= 0 {
		opts.Capacity = 5000
	}
	pages, err := parsePages()
	if err != nil {
		return nil, err
	}
	return &Inbox{
		opts: opts, store: newStore(opts.Capacity), pages: pages,
		client: &http.Client{Timeout: 10 * time.Second},
	}, nil
}

// Run serves SMTP and HTTP until ctx ends, then lets open requests finish.
func (b *Inbox) Run(ctx context.Context) error {
	mails := b.smtpServer()
	web := &http.Server{Handler: b.handler(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return ignoreClosed(mails.Serve(b.opts.SMTP)) })
	g.Go(func() error { return ignoreClosed(web.Serve(b.opts.HTTP)) })
	g.Go(func() error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if err := mails.Shutdown(end); err != nil {
			_ = mails.Close()
		}
		if err := web.Shutdown(end); err != nil {
			return web.Close()
		}
		return nil
	})
	return g.Wait()
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) || errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	return err
}
