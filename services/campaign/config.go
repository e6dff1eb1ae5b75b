package campaign

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"slices"
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/services/campaign/internal/link"
	"github.com/nurturehq/nurture/services/campaign/internal/sender"
	sendermail "github.com/nurturehq/nurture/services/campaign/internal/sender/mail"
	"github.com/nurturehq/nurture/services/campaign/internal/store"
)

// Config is what an operator sets.
type Config struct {
	Programs  string `yaml:"programs" help:"directory of the programs, *.yaml"`
	Templates string `yaml:"templates" help:"directory of the templates, <name>.html.liquid and <name>.txt.liquid"`
	// TimeScale multiplies every wait, timeout, cap window, re-entry pause and
	// the review time: 0.01 lives a program of a hundred days in one.
	TimeScale float64       `yaml:"time_scale" help:"multiplies every wait and timeout of all programs; 1 in production"`
	Review    time.Duration `yaml:"review" help:"after how long a lead that no program wants is looked at again"`
	PublicURL string        `yaml:"public_url" help:"where leads reach this service from their mails, e.g. https://mail.example.com"`
	Proxies   []string      `yaml:"trusted_proxies" help:"networks of your own proxies, like 10.0.0.0/8; they say where whoever clicks comes from"`
	LinkKeys  []string      `yaml:"link_keys" help:"keys that sign links, 32 bytes or more in hex; the first signs, all verify" secret:"true"`
	// Links are constants for templates: {{ links.site }}.
	Links  map[string]string `yaml:"links"`
	Mail   MailConfig        `yaml:"mail"`
	SMTP   SMTPConfig        `yaml:"smtp"`
	Sender SenderConfig      `yaml:"sender"`
	Lanes  int               `yaml:"lanes" help:"goroutines that share the leads, 1 to 64"`
}

// MailConfig is who signs the mails.
type MailConfig struct {
	From     string `yaml:"from" help:"address mails come from"`
	FromName string `yaml:"from_name" help:"name mails come from"`
	ReplyTo  string `yaml:"reply_to" help:"address answers go to; empty: the sender's"`
	Company  string `yaml:"company" help:"company in the footer"`
	// BounceDomain is where reports about mails come back to, each to an address
	// of its own that only we can make.
	BounceDomain string   `yaml:"bounce_domain" help:"domain of the return addresses, e.g. bounce.example.com, whose mail ingest reads; empty: mails come back to from"`
	BounceKeys   []string `yaml:"bounce_keys" help:"keys that sign return addresses, 32 bytes or more in hex, the same as ingest's bounces.keys; the first signs" secret:"true"`
	Address      string   `yaml:"address" help:"postal address in the footer"`
	NoTrap       bool     `yaml:"no_trap_link" help:"leave the link out that no reader sees and only machines follow"`
}

// SMTPConfig is where mails are handed over.
type SMTPConfig struct {
	Addr        string        `yaml:"addr" help:"host:port of the SMTP server"`
	TLS         string        `yaml:"tls" help:"none (same machine only), starttls or tls"`
	Username    string        `yaml:"username" help:"user of the SMTP server; empty: none"`
	Password    string        `yaml:"password" help:"password of the SMTP server" secret:"true"`
	Hello       string        `yaml:"hello" help:"name this server greets with"`
	Connections int           `yaml:"connections" help:"connections kept open at most"`
	Timeout     time.Duration `yaml:"timeout" help:"how long one mail may take on the connection"`
	// Provider says which metadata a mail carries, so that the provider's events
	// name the touch.
	Provider         string `yaml:"provider" help:"sendgrid, ses, postmark, mailgun or resend when addr is theirs: their events then name the touch"`
	ConfigurationSet string `yaml:"configuration_set" help:"of ses: the configuration set that publishes events"`
	MessageStream    string `yaml:"message_stream" help:"of postmark: the message stream, e.g. broadcast"`
}

// SenderConfig is how mails are sent.
type SenderConfig struct {
	Batch          int           `yaml:"batch" help:"planned touches worked on together"`
	Workers        int           `yaml:"workers" help:"such batches at once"`
	AttemptTimeout time.Duration `yaml:"attempt_timeout" help:"after how long a claim without an outcome is ambiguous"`
	RetryMin       time.Duration `yaml:"retry_min" help:"shortest pause before a mail that was not taken is tried again"`
	RetryMax       time.Duration `yaml:"retry_max" help:"longest such pause"`
}

// DefaultConfig sends the example programs to an SMTP server on this machine.
func DefaultConfig() Config {
	return Config{
		Programs: "deploy/example/programs", Templates: "deploy/example/templates", TimeScale: 1, Review: 30 * 24 * time.Hour,
		PublicURL: "http://127.0.0.1:8082",
		Links:     map[string]string{"site": "https://www.acme.example"},
		Mail: MailConfig{
			From: "sam@acme.example", FromName: "Sam at Acme", Company: "Acme Analytics", Address: "1 Example Street, Exampleton",
		},
		SMTP:   SMTPConfig{Addr: "127.0.0.1:1025", TLS: string(sender.TLSNone), Hello: "localhost", Connections: 8, Timeout: 30 * time.Second},
		Sender: SenderConfig{Batch: 512, Workers: 2, AttemptTimeout: time.Minute, RetryMin: 10 * time.Second, RetryMax: time.Hour},
		Lanes:  1,
	}
}

// Validate says what is wrong with a configuration, and what to do.
func (c Config) Validate() error {
	switch _, err := mail.ParseAddress(c.Mail.From); {
	case c.TimeScale <= 0 || c.TimeScale > 1000:
		return fmt.Errorf("time_scale: %v is not above 0 and at most 1000; write 1 for programs as they are written", c.TimeScale)
	case c.Review <= 0:
		return errors.New("review: write a duration above zero, e.g. 30d")
	case !link.Followable(c.PublicURL):
		return fmt.Errorf("public_url: %q is no web address; write where leads reach this service, e.g. https://mail.example.com", c.PublicURL)
	case err != nil:
		return fmt.Errorf("mail.from: %q is no e-mail address", c.Mail.From)
	case c.Lanes < 1 || c.Lanes > bus.Buckets:
		return fmt.Errorf("lanes: %d is not between 1 and %d", c.Lanes, bus.Buckets)
	case c.Mail.BounceDomain != "" && !domain(c.Mail.BounceDomain):
		return fmt.Errorf("mail.bounce_domain: %q is no domain; write one like bounce.example.com", c.Mail.BounceDomain)
	default:
		return c.SMTP.validate()
	}
}

func domain(name string) bool {
	addr, err := mail.ParseAddress("x@" + name)
	return err == nil && addr.Address == "x@"+name
}

func (c SMTPConfig) validate() error {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("smtp.addr: %q: write host:port, e.g. 127.0.0.1:1025", c.Addr)
	}
	if !slices.Contains(sendermail.Providers(), sendermail.Provider(c.Provider)) {
		return fmt.Errorf("smtp.provider: %q: write sendgrid, ses, postmark, mailgun or resend, or leave it empty", c.Provider)
	}
	switch sender.TLSMode(c.TLS) {
	case sender.TLSStart, sender.TLSImplicit:
		return nil
	case sender.TLSNone:
		if c.Password != "" && !loopback(host) {
			return fmt.Errorf("smtp.tls: none would send the password to %s in the clear; write starttls or tls", host)
		}
		return nil
	default:
		return fmt.Errorf("smtp.tls: %q: write none, starttls or tls", c.TLS)
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c Config) files() store.Files {
	return store.Files{Programs: c.Programs, Templates: c.Templates, Links: c.Links, TimeScale: c.TimeScale}
}

// review is scaled like every other time.
func (c Config) review() time.Duration {
	return max(time.Millisecond, time.Duration(float64(c.Review)*c.TimeScale))
}
