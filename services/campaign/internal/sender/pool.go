package sender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	gosmtp "github.com/wneessen/go-mail/smtp"

	"github.com/nurturehq/nurture/services/campaign/internal/sender/mail"
)

// TLSMode says how a connection is protected.
type TLSMode string

// The modes.
const (
	// TLSNone is for a server on the same machine.
	TLSNone TLSMode = "none"
	// TLSStart upgrades the connection by STARTTLS and insists on it.
	TLSStart TLSMode = "starttls"
	// TLSImplicit speaks TLS from the first byte.
	TLSImplicit TLSMode = "tls"
)

// PoolOptions say where mails are handed over.
type PoolOptions struct {
	// Addr is host:port.
	Addr               string
	TLS                TLSMode
	Username, Password string
	// Hello is the name we greet with. Default "localhost".
	Hello string
	// Connections is how many are open at most. Default 8.
	Connections int
	// Timeout bounds each answer of the server. Default 30 s.
	Timeout time.Duration
	// TLSConfig overrides the default one, for tests and private authorities.
	TLSConfig *tls.Config
	Now       func() time.Time
}

// idleLimit is how long an unused connection is trusted: servers hang up on
// idle ones, and finding out costs more than dialling.
const idleLimit = 15 * time.Second

// mailsPerConnection is after how many mails a connection is closed: servers
// count them.
const mailsPerConnection = 500

// triesPerMail is how often a mail that certainly was not taken because the
// connection broke is tried on another one at once.
const triesPerMail = 3

// Pool keeps SMTP connections open between mails. It is safe for concurrent use.
type Pool struct {
	o PoolOptions
	// slots holds one entry per connection that may be open: an idle one, or nil.
	slots chan *conn
	// urgent hands a slot that becomes free to an urgent mail that waits for one.
	urgent chan *conn
}

type conn struct {
	client *gosmtp.Client
	usedAt time.Time
	mails  int
}

// NewPool makes a pool; it opens nothing yet.
func NewPool(o PoolOptions) *Pool {
	if o.Hello == "" {
		o.Hello = "localhost"
	}
	if o.Connections <= 0 {
		o.Connections = 8
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Pool{o: o, slots: make(chan *conn, o.Connections), urgent: make(chan *conn)}
	for range o.Connections {
		p.slots <- nil
	}
	return p
}

// Connections is how many mails can be on their way at once.
func (p *Pool) Connections() int { return p.o.Connections }

// Check makes sure that a connection can be had, and keeps it for the next mail.
func (p *Pool) Check(ctx context.Context, class Class) error {
	c, err := p.take(ctx, class)
	if err != nil {
		return err
	}
	p.free(c)
	return nil
}

// Send hands over one mail. A connection that breaks before the mail was begun
// is replaced and the mail tried again; nothing else is. An urgent mail goes ahead
// of all that wait for a connection.
func (p *Pool) Send(ctx context.Context, class Class, m mail.Mail) Attempt {
	var last Attempt
	for range triesPerMail {
		c, err := p.take(ctx, class)
		if err != nil {
			return Attempt{Result: NotTaken, Reason: reasonUnreachable, Err: err}
		}
		var broken bool
		last, broken = p.speak(c, m)
		p.give(c, broken)
		if last.Result != NotTaken || last.Reason != reasonBrokenOff {
			return last
		}
	}
	return last
}

func (p *Pool) speak(c *conn, m mail.Mail) (Attempt, bool) {
	if err := c.client.UpdateDeadline(p.o.Timeout); err != nil {
		return Attempt{Result: NotTaken, Reason: reasonBrokenOff, Err: err}, true
	}
	c.mails++
	return transmit(c.client, m)
}

// take waits for a slot and gives a connection that is believed to work.
func (p *Pool) take(ctx context.Context, class Class) (*conn, error) {
	c, err := p.slot(ctx, class)
	if err != nil {
		return nil, err
	}
	if c != nil && p.o.Now().Sub(c.usedAt) < idleLimit {
		return c, nil
	}
	closeQuietly(c)
	fresh, err := p.dial(ctx)
	if err != nil {
		p.free(nil)
		return nil, err
	}
	return fresh, nil
}

func (p *Pool) slot(ctx context.Context, class Class) (*conn, error) {
	var ahead chan *conn // nil: nothing ever comes
	if class == Urgent {
		ahead = p.urgent
	}
	select {
	case c := <-ahead:
		return c, nil
	case c := <-p.slots:
		return c, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for an SMTP connection: %w", ctx.Err())
	}
}

// free lets somebody else have a slot: an urgent mail that waits for one, else
// whoever waits longest.
func (p *Pool) free(c *conn) {
	select {
	case p.urgent <- c:
	default:
		p.slots <- c
	}
}

func (p *Pool) give(c *conn, broken bool) {
	if broken || c.mails >= mailsPerConnection {
		closeQuietly(c)
		p.free(nil)
		return
	}
	c.usedAt = p.o.Now()
	p.free(c)
}

// Close says goodbye on all idle connections and waits for the others.
func (p *Pool) Close() {
	for range p.o.Connections {
		closeQuietly(<-p.slots)
	}
	for range p.o.Connections {
		p.slots <- nil
	}
}

// closeQuietly ends a connection. Whatever the server thinks of it, nothing of
// ours depends on the answer.
func closeQuietly(c *conn) {
	if c == nil {
		return
	}
	if c.client.UpdateDeadline(time.Second) != nil || c.client.Quit() != nil {
		_ = c.client.Close()
	}
}

func (p *Pool) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	host, _, err := net.SplitHostPort(p.o.Addr)
	if err != nil {
		return nil, fmt.Errorf("SMTP address %q: %w (write host:port)", p.o.Addr, err)
	}
	raw, err := p.open(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("connect to SMTP at %s: %w", p.o.Addr, err)
	}
	if err := raw.SetDeadline(p.o.Now().Add(p.o.Timeout)); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("connect to SMTP at %s: %w", p.o.Addr, err)
	}
	client, err := gosmtp.NewClient(raw, host)
	if err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("greet SMTP at %s: %w", p.o.Addr, err)
	}
	if err := p.introduce(client, host); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("greet SMTP at %s: %w", p.o.Addr, err)
	}
	return &conn{client: client, usedAt: p.o.Now()}, nil
}

func (p *Pool) open(ctx context.Context, host string) (net.Conn, error) {
	dialer := &net.Dialer{}
	if p.o.TLS == TLSImplicit {
		return (&tls.Dialer{NetDialer: dialer, Config: p.tlsConfig(host)}).DialContext(ctx, "tcp", p.o.Addr)
	}
	return dialer.DialContext(ctx, "tcp", p.o.Addr)
}

func (p *Pool) introduce(c *gosmtp.Client, host string) error {
	if err := c.Hello(p.o.Hello); err != nil {
		return err
	}
	if p.o.TLS == TLSStart {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return errors.New("the server does not offer STARTTLS; set smtp.tls to tls, or to none for a server on this machine")
		}
		if err := c.StartTLS(p.tlsConfig(host)); err != nil {
			return err
		}
	}
	if p.o.Username == "" {
		return nil
	}
	return c.Auth(gosmtp.PlainAuth("", p.o.Username, p.o.Password, host, p.o.TLS == TLSNone))
}

func (p *Pool) tlsConfig(host string) *tls.Config {
	if p.o.TLSConfig != nil {
		return p.o.TLSConfig
	}
	return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
}
