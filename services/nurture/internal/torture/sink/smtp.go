// Package sink is the world outside during a torture run: a mail server and a
// CRM that live in a process nobody kills, and write down every arrival before
// they answer.
package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/mail"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// Journal keeps lines; when it returns they are on the disk.
type Journal interface {
	Write(lines ...torture.Line) error
}

// Mail is one that arrived.
type Mail struct {
	// Touch is taken from the Message-ID, Who is the mailbox.
	Touch, Who string
	// Unsubscribe is where one click ends these mails.
	Unsubscribe string
	// Picture and Trap are what loads by itself and what no reader sees; Links are
	// the others, in their order.
	Picture, Trap string
	Links         []string
}

// MailOptions are what a mail server works with.
type MailOptions struct {
	Journal Journal
	Now     func() time.Time
	// Seed decides which mails meet trouble.
	Seed uint64
	// Before is called with the sender's name when a mail was written down and
	// not answered yet: the worst moment for the sender to die.
	Before func(sender string)
	// Arrived is told of mails that were accepted, or of which the sender will
	// never know.
	Arrived func(Mail)
}

// MailServer is an SMTP server that keeps nothing but the journal.
type MailServer struct {
	o      MailOptions
	server *smtp.Server
	mu     sync.Mutex
	tries  map[string]int
}

// NewMailServer makes a server.
func NewMailServer(o MailOptions) *MailServer {
	m := &MailServer{o: o, tries: map[string]int{}}
	m.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{m: m, conn: c}, nil
	}))
	m.server.Domain, m.server.ReadTimeout, m.server.WriteTimeout = "localhost", time.Minute, 10*time.Second
	m.server.MaxMessageBytes, m.server.MaxRecipients = 4<<20, 1
	m.server.ErrorLog = silence{}
	return m
}

// Run serves until ctx ends.
func (m *MailServer) Run(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = m.server.Close() })()
	if err := m.server.Serve(l); err != nil && ctx.Err() == nil && !errors.Is(err, smtp.ErrServerClosed) {
		return fmt.Errorf("serve SMTP: %w", err)
	}
	return nil
}

// silence: connections of senders that were killed end badly, as they must.
type silence struct{}

func (silence) Printf(string, ...any) {}
func (silence) Println(...any)        {}

type session struct {
	m     *MailServer
	conn  *smtp.Conn
	to    string
	began time.Time
}

func (s *session) Reset()        { s.to = "" }
func (s *session) Logout() error { return nil }

func (s *session) Mail(string, *smtp.MailOptions) error {
	s.began = s.m.o.Now().UTC()
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = strings.ToLower(to)
	return nil
}

// Data takes a mail, or meets it with trouble.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("receive mail: %w", err)
	}
	got, err := read(raw, s.to)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: err.Error()}
	}
	switch s.m.trouble(got.Touch) {
	case busy:
		return s.refuse(got, 451, "try again later")
	case never:
		return s.refuse(got, 554, "nobody here wants this")
	case hangUp:
		return s.hangUp(got)
	case none:
	}
	if err := s.m.o.Journal.Write(s.line(got)); err != nil {
		return err
	}
	s.m.o.Before(s.conn.Hostname())
	s.m.o.Arrived(got)
	return nil
}

func (s *session) line(m Mail) torture.Line {
	return torture.Line{Op: torture.OpMail, ID: m.Touch, Who: m.Who, Began: s.began}
}

func (s *session) refuse(m Mail, code int, why string) error {
	err := s.m.o.Journal.Write(torture.Line{Op: torture.OpFault, ID: m.Touch, Who: m.Who, Type: fmt.Sprintf("smtp_%d", code), Code: code, Reason: "refuse"})
	if err != nil {
		return err
	}
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: why}
}

// hangUp keeps the mail and does not say so.
func (s *session) hangUp(m Mail) error {
	err := s.m.o.Journal.Write(s.line(m), torture.Line{Op: torture.OpFault, ID: m.Touch, Who: m.Who, Type: "smtp_hangup", Reason: "hangup"})
	s.m.o.Arrived(m)
	return errors.Join(err, s.conn.Conn().Close(), io.ErrUnexpectedEOF)
}

// trouble is what a mail meets.
type trouble int

const (
	none trouble = iota
	busy
	never
	hangUp
)

// trouble depends on the touch's name and the seed, and strikes the first try.
func (m *MailServer) trouble(touch string) trouble {
	m.mu.Lock()
	m.tries[touch]++
	first := m.tries[touch] == 1
	m.mu.Unlock()
	roll := Roll(m.o.Seed, touch, 100)
	switch {
	case roll < 5 && first:
		return busy
	case roll >= 5 && roll < 7:
		return never
	case roll >= 7 && roll < 10 && first:
		return hangUp
	}
	return none
}

// Roll gives a number below n that a seed and a name always give again.
func Roll(seed uint64, name string, n uint64) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d/%s", seed, name)
	return h.Sum64() % n
}

// read takes from a mail what the journal needs.
func read(raw []byte, to string) (Mail, error) {
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Mail{}, fmt.Errorf("not a mail: %w", err)
	}
	touch, _, ok := strings.Cut(strings.Trim(msg.Header.Get("Message-ID"), "<> "), "@")
	if !ok || touch == "" {
		return Mail{}, errors.New("the mail has no Message-ID")
	}
	who, _, _ := strings.Cut(to, "@")
	m := Mail{Touch: touch, Who: who, Unsubscribe: strings.Trim(msg.Header.Get("List-Unsubscribe"), "<> ")}
	html, err := page(msg)
	if err != nil {
		return Mail{}, err
	}
	m.look(html)
	return m, nil
}
