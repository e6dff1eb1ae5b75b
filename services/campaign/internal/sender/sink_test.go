package sender_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// fault is what a sink does to one mail.
type fault string

const (
	fine         fault = "fine"
	refuseReader fault = "550 at RCPT"
	greyReader   fault = "451 at RCPT"
	hangUpEarly  fault = "hang up at RCPT"
	refuseMail   fault = "554 after DATA"
	busyMail     fault = "452 after DATA"
	hangUpLate   fault = "take the mail, then hang up without an answer"
	hangUpNone   fault = "hang up after DATA without taking the mail"
)

// sink is an SMTP server that keeps what it took and fails as it is told.
type sink struct {
	mu    sync.Mutex
	mails map[string][]string // raw mails by Message-ID
	conns int
	// next names what happens to the next mail for a reader.
	next func(to string) fault
	srv  *smtp.Server
	addr string
}

func newSink(tb testing.TB, next func(to string) fault) *sink {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &sink{mails: map[string][]string{}, next: next, addr: l.Addr().String()}
	s.serve(tb, l)
	return s
}

func (s *sink) serve(tb testing.TB, l net.Listener) {
	tb.Helper()
	s.srv = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conns++
		return &session{sink: s, conn: c}, nil
	}))
	s.srv.Domain, s.srv.AllowInsecureAuth = "localhost", true
	s.srv.ErrorLog = quiet{}
	go func() { _ = s.srv.Serve(l) }()
	tb.Cleanup(func() { _ = s.srv.Close() })
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func (s *sink) took() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for id, all := range s.mails {
		n[id] = len(all)
	}
	return n
}

func (s *sink) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

func (s *sink) keep(raw string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := header(raw, "Message-ID")
	s.mails[id] = append(s.mails[id], raw)
}

func header(raw, name string) string {
	for line := range strings.SplitSeq(raw, "\r\n") {
		if key, value, ok := strings.Cut(line, ": "); ok && strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

type session struct {
	sink *sink
	conn *smtp.Conn
	what fault
}

func (s *session) Reset()                               {}
func (s *session) Logout() error                        { return nil }
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.what = s.sink.next(to)
	switch s.what {
	case refuseReader:
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	case greyReader:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "come back later"}
	case hangUpEarly:
		_ = s.conn.Conn().Close()
	case fine, refuseMail, busyMail, hangUpLate, hangUpNone:
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	switch s.what {
	case refuseMail:
		return &smtp.SMTPError{Code: 554, Message: "looks like spam"}
	case busyMail:
		return &smtp.SMTPError{Code: 452, Message: "disk full"}
	case hangUpNone:
		_ = s.conn.Conn().Close()
		return nil
	case hangUpLate:
		s.sink.keep(string(bytes.Clone(raw)))
		_ = s.conn.Conn().Close()
		return nil
	case fine, refuseReader, greyReader, hangUpEarly:
	}
	s.sink.keep(string(raw))
	return nil
}
