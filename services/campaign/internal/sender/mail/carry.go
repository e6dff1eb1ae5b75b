package mail

import (
	"encoding/json"
	"fmt"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/nurturehq/nurture/pkg/returnpath"
)

// Provider is who hands our mails over to the readers' servers.
type Provider string

// The providers whose events lead back to the touch. The empty one is an SMTP
// server that has no metadata.
const (
	NoProvider Provider = ""
	SendGrid   Provider = "sendgrid"
	SES        Provider = "ses"
	Postmark   Provider = "postmark"
	Mailgun    Provider = "mailgun"
	Resend     Provider = "resend"
)

// Providers lists them, for whoever has to choose one.
func Providers() []Provider {
	return []Provider{NoProvider, SendGrid, SES, Postmark, Mailgun, Resend}
}

// Carry is what lets news about a mail find its touch.
type Carry struct {
	Provider Provider
	// ConfigurationSet names the one of SES that publishes events; Stream is the
	// message stream of Postmark. Both may be empty.
	ConfigurationSet, Stream string
	// Returns signs return addresses below Domain; nil: mails come back to the
	// sender's address.
	Returns *returnpath.Signer
	Domain  string
}

// mark writes what the provider gives back with each of its events: opaque ids
// and the name of the purpose, nothing about the person.
func (c Carry) mark(m *gomail.Msg, touch, purpose string) error {
	set := func(name, value string) { m.SetGenHeaderPreformatted(gomail.Header(name), value) }
	set(returnpath.Header, touch)
	purpose = named(purpose)
	switch c.Provider {
	case NoProvider:
	case SendGrid:
		return c.markJSON(m, "X-SMTPAPI", map[string]any{"unique_args": carried(touch, purpose)})
	case Mailgun:
		return c.markJSON(m, "X-Mailgun-Variables", carried(touch, purpose))
	case SES:
		tags := returnpath.TouchKey + "=" + touch
		if purpose != "" {
			tags += ", " + returnpath.PurposeKey + "=" + purpose
		}
		set("X-SES-MESSAGE-TAGS", tags)
		if c.ConfigurationSet != "" {
			set("X-SES-CONFIGURATION-SET", c.ConfigurationSet)
		}
	case Postmark:
		set("X-PM-Metadata-"+returnpath.TouchKey, touch)
		if purpose != "" {
			set("X-PM-Metadata-"+returnpath.PurposeKey, purpose)
		}
		set("X-PM-KeepID", "true")
		if c.Stream != "" {
			set("X-PM-Message-Stream", c.Stream)
		}
	case Resend:
		// The same mail handed over twice within a day goes out once.
		set("Resend-Idempotency-Key", touch)
	}
	return nil
}

// markJSON writes a header on one line: these are read by machines that do not
// all know how headers are folded.
func (c Carry) markJSON(m *gomail.Msg, name string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	m.SetGenHeaderPreformatted(gomail.Header(name), string(raw))
	return nil
}

func carried(touch, purpose string) map[string]string {
	args := map[string]string{returnpath.TouchKey: touch}
	if purpose != "" {
		args[returnpath.PurposeKey] = purpose
	}
	return args
}

// named gives a purpose if every provider takes it as a value.
func named(purpose string) string {
	const most = 64
	if len(purpose) > most || strings.ContainsFunc(purpose, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}) {
		return ""
	}
	return purpose
}

// sender is the envelope's sender: reports about the mail come back to it.
func (c Carry) sender(touch, otherwise string) string {
	if c.Returns != nil {
		if address, ok := c.Returns.Address(returnpath.Bounce, touch, c.Domain); ok {
			return address
		}
	}
	return otherwise
}

// unsubscribe is where a mail program writes to that cannot post; empty when
// nobody reads there.
func (c Carry) unsubscribe(touch string) string {
	if c.Returns == nil {
		return ""
	}
	address, _ := c.Returns.Address(returnpath.Unsubscribe, touch, c.Domain)
	return address
}
