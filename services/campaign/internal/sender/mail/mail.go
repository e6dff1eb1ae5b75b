// Package mail makes the mail of one touch: both parts of the letter with
// tracked links, and the headers that let one click end these mails.
package mail

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	netmail "net/mail"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/letter"
	"github.com/nurturehq/nurture/services/campaign/internal/link"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

// ErrAddress: the lead's e-mail address is not one that mail can be sent to.
var ErrAddress = errors.New("not an e-mail address")

// Writer composes mails. It is safe for concurrent use.
type Writer struct {
	Links  *link.Signer
	Sender letter.Sender
	// ReplyTo is where answers go; empty for the sender's address.
	ReplyTo string
	// BaseURL is where this service is reached from the leads' side, without a
	// slash at the end.
	BaseURL string
	// Domain ends the Message-ID.
	Domain string
	// Carry lets news about the mail find its touch.
	Carry Carry
	// NoTrap leaves out the link that only machines follow.
	NoTrap bool
}

// Touch is what a mail is written for.
type Touch struct {
	ID      string
	Lead    *leadv1.Lead
	Program *program.Program
	Step    program.Step
	// At is the mail's date.
	At time.Time
}

// Mail is ready to be handed to SMTP.
type Mail struct {
	// From and To are the envelope's addresses.
	From, To string
	// MessageID is derived from the touch: a copy would be recognised.
	MessageID string
	Raw       []byte
}

// Compose renders and encodes the mail of a touch. The error is ErrAddress, or
// that of a template.
func (w *Writer) Compose(t Touch) (Mail, error) {
	to, err := address(t.Lead.GetProfile())
	if err != nil {
		return Mail{}, err
	}
	reader := letter.Reader{
		Profile: t.Lead.GetProfile(), Sender: w.Sender, Program: t.Program.Name, Links: t.Program.Links,
		UnsubscribeURL: w.BaseURL + "/u/" + w.sign(t, link.Unsubscribe, purposeOf(t)),
		PreferencesURL: w.BaseURL + "/preferences/" + w.sign(t, link.Preferences, ""),
	}
	reader.ConfirmURL, reader.ConfirmWords = w.confirmation(t)
	subject, err := t.Step.Subject.Render(reader)
	if err != nil {
		return Mail{}, fmt.Errorf("render subject of step %s: %w", t.Step.ID, err)
	}
	html, text, err := t.Program.Letter(t.Step.Template).Render(reader)
	if err != nil {
		return Mail{}, err
	}
	track := func(target string) string { return w.BaseURL + "/t/c/" + w.sign(t, link.Click, target) }
	html, err = trackHTML(html, w.own, track)
	if err != nil {
		return Mail{}, err
	}
	if !w.NoTrap {
		html = addTrap(html, w.BaseURL+"/t/x/"+w.sign(t, link.Trap, ""))
	}
	html = addPixel(html, w.BaseURL+"/t/o/"+w.sign(t, link.Open, "")+".gif")
	text = trackText(text, w.own, track)
	m := w.message(t, to)
	m.Subject(subject)
	setUnsubscribe(m, reader.UnsubscribeURL, w.Carry.unsubscribe(t.ID))
	if err := w.Carry.mark(m, t.ID, purposeOf(t)); err != nil {
		return Mail{}, err
	}
	m.SetBodyString(gomail.TypeTextPlain, text)
	m.AddAlternativeString(gomail.TypeTextHTML, html)
	return w.encode(m, t, to)
}

// own reports whether a link leads to one of our own pages, which are not tracked.
func (w *Writer) own(url string) bool {
	for _, page := range []string{"/u/", "/preferences/", "/confirm/"} {
		if strings.HasPrefix(url, w.BaseURL+page) {
			return true
		}
	}
	return false
}

// purposeOf is what unsubscribing from a mail takes back: its purpose. Whoever
// unsubscribes from a mail that only asks for a confirmation wants none at all.
func purposeOf(t Touch) string {
	if t.Program.Rules.Transactional {
		return ""
	}
	return t.Program.Rules.Purpose
}

// confirmation is the link that confirms all that waits, and the words of it.
func (w *Writer) confirmation(t Touch) (url, words string) {
	ask := link.Ask{Issued: t.At}
	var said []string
	for _, c := range t.Lead.GetConsents() {
		if !c.GetPending() {
			continue
		}
		if !slices.Contains(ask.Requests, c.GetRequestId()) {
			ask.Requests = append(ask.Requests, c.GetRequestId())
		}
		said = append(said, cmp.Or(c.GetText(), title(t.Lead, c.GetPurpose())))
	}
	if len(said) == 0 {
		return "", ""
	}
	return w.BaseURL + "/confirm/" + w.sign(t, link.Confirm, ask.Target()), strings.Join(said, " ")
}

func title(lead *leadv1.Lead, purpose string) string {
	for _, p := range lead.GetPermissions() {
		if p.GetPurpose() == purpose && p.GetTitle() != "" {
			return p.GetTitle()
		}
	}
	return purpose
}

func (w *Writer) sign(t Touch, kind link.Kind, target string) string {
	tok := link.Token{
		Kind: kind, Lead: t.Lead.GetLeadId(), Touch: t.ID, Program: t.Program.Name, Step: t.Step.ID, Target: target,
	}
	switch kind {
	case link.Click, link.Open, link.Trap:
		tok.Sent = t.At
	case link.Unsubscribe, link.Confirm, link.Preferences:
	}
	return w.Links.Sign(tok)
}

func (w *Writer) message(t Touch, to *netmail.Address) *gomail.Msg {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(&netmail.Address{Name: letter.OneLine(w.Sender.Name), Address: w.Sender.Email})
	m.AddToMailAddress(to)
	if w.ReplyTo != "" {
		m.ReplyToMailAddress(&netmail.Address{Address: w.ReplyTo})
	}
	m.SetDateWithValue(t.At)
	m.SetMessageIDWithValue(t.ID + "@" + w.Domain)
	m.SetGenHeader("Feedback-ID", t.Program.Name+":"+t.Step.ID+":nurture")
	return m
}

// setUnsubscribe writes the headers of RFC 8058 on one line each: folded ones
// break the signatures of some relays. The library insists on https, which a
// loopback address in a trial does not have.
func setUnsubscribe(m *gomail.Msg, url, mailbox string) {
	ways := "<" + url + ">"
	if mailbox != "" {
		ways += ", <mailto:" + mailbox + "?subject=unsubscribe>"
	}
	m.SetGenHeaderPreformatted(gomail.HeaderListUnsubscribe, ways)
	m.SetGenHeaderPreformatted(gomail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
}

func (w *Writer) encode(m *gomail.Msg, t Touch, to *netmail.Address) (Mail, error) {
	var raw bytes.Buffer
	if _, err := m.WriteTo(&raw); err != nil {
		return Mail{}, fmt.Errorf("encode mail of %s: %w", t.ID, err)
	}
	return Mail{From: w.Carry.sender(t.ID, w.Sender.Email), To: to.Address, MessageID: "<" + t.ID + "@" + w.Domain + ">", Raw: raw.Bytes()}, nil
}

// address is who the mail goes to. What a lead told as its name cannot add a
// header or a second reader.
func address(p *leadv1.Profile) (*netmail.Address, error) {
	addr, err := netmail.ParseAddress(p.GetEmail())
	if err != nil || addr.Name != "" || strings.ContainsAny(addr.Address, "\r\n<>") {
		return nil, ErrAddress
	}
	return &netmail.Address{Name: letter.OneLine(p.GetFirstName() + " " + p.GetLastName()), Address: addr.Address}, nil
}
