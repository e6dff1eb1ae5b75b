// Package postbox takes mails that come back over SMTP. It answers 250 when what
// a mail says is durable, and takes none for an address that we did not make.
package postbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/returnpath"
	"github.com/nurturehq/nurture/pkg/rpc"
)

// Limits of one connection and of one mail.
const (
	maxMail        = 2 << 20
	maxRecipients  = 10
	maxConnections = 100
	patience       = time.Minute
	takeTimeout    = 20 * time.Second
)

// Options say what is taken and who takes it.
type Options struct {
	// Domain is the only one whose mail is taken, Mailboxes are the names below
	// it besides the signed ones.
	Domain    string
	Mailboxes []string
	// PerMinute bounds the mails; more are told to come later. 0: no bound.
	PerMinute int
	// Verify says whether a token of an address is one of ours.
	Verify func(token string) bool
	// Take records what a mail says and gives a word for it. It returns when that
	// is durable; an error means that the mail may be sent again.
	Take func(ctx context.Context, mail []byte, recipient string) (string, error)
	Log  *slog.Logger
	Now  func() time.Time
}

// Serve takes mails until ctx ends, then lets the one at hand be finished.
func Serve(ctx context.Context, l net.Listener, o Options) error {
	b := &box{Options: o, slots: make(chan struct{}, maxConnections), pace: pace{per: o.PerMinute, left: float64(o.PerMinute)}}
	s := smtp.NewServer(smtp.BackendFunc(b.open)) //nolint:contextcheck // go-smtp gives its sessions none
	s.Domain, s.MaxMessageBytes, s.MaxRecipients = o.Domain, maxMail, maxRecipients
	s.ReadTimeout, s.WriteTimeout, s.EnableSMTPUTF8 = patience, patience, true
	s.ErrorLog = complaints{o.Log}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := s.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("take mails that come back: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeTimeout)
		defer cancel()
		if err := s.Shutdown(end); err != nil {
			_ = s.Close()
		}
		return nil
	})
	return g.Wait()
}

type box struct {
	Options
	slots chan struct{}
	pace  pace
}

// open begins a connection, if there is room for one.
func (b *box) open(*smtp.Conn) (smtp.Session, error) {
	select {
	case b.slots <- struct{}{}:
		return &session{box: b}, nil
	default:
		return nil, later("too many connections")
	}
}

// takes reports whether mail for an address is taken.
func (b *box) takes(address string) bool {
	name, token, domain := returnpath.Split(address)
	if !strings.EqualFold(domain, b.Domain) {
		return false
	}
	if name == returnpath.Bounce || name == returnpath.Unsubscribe {
		return b.Verify(token)
	}
	return token == "" && slices.ContainsFunc(b.Mailboxes, func(m string) bool { return strings.EqualFold(m, name) })
}

// session is one connection.
type session struct {
	box  *box
	to   []string
	gone bool
}

func (s *session) Reset() { s.to = nil }

func (s *session) Logout() error {
	if !s.gone {
		s.gone = true
		<-s.box.slots
	}
	return nil
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.box.pace.take(s.box.Now()) {
		return later("too many mails")
	}
	s.to = nil
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if !s.box.takes(to) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such return address here"}
	}
	s.to = append(s.to, to)
	return nil
}

// Data takes the mail for each of its addresses. Sent again after an error it
// counts once.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err //nolint:wrapcheck // it carries the answer, e.g. that the mail is too large
	}
	ctx, cancel := context.WithTimeout(context.Background(), takeTimeout)
	defer cancel()
	words := make([]string, len(s.to))
	for i, to := range s.to {
		if words[i], err = s.box.Take(ctx, raw, to); err != nil {
			return s.refusal(err)
		}
	}
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: strings.Join(words, ", ")}
}

// refusal tells a sender whether to come again.
func (s *session) refusal(err error) error {
	switch rpc.Status(err).Code() {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.NotFound:
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "this cannot be used"}
	default:
	}
	s.box.Log.Warn("a mail that came back has to wait", "error", err)
	return later("it cannot be stored now")
}

func later(why string) error {
	return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: why + "; try again later"}
}

// complaints sends what the SMTP server complains about to slog.
type complaints struct{ log *slog.Logger }

func (c complaints) Printf(format string, v ...any) {
	c.log.Warn("mails that come back", "error", fmt.Sprintf(format, v...))
}

func (c complaints) Println(v ...any) {
	c.log.Warn("mails that come back", "error", strings.TrimSpace(fmt.Sprintln(v...)))
}
