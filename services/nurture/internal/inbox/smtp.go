package inbox

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// maxMail bounds one mail, in bytes.
const maxMail = 4 << 20

func (b *Inbox) smtpServer() *smtp.Server {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{inbox: b}, nil
	}))
	s.Domain = "localhost"
	s.MaxMessageBytes = maxMail
	s.MaxRecipients = 50
	s.ReadTimeout = time.Minute
	s.WriteTimeout = 10 * time.Second
	s.EnableSMTPUTF8 = true
	s.ErrorLog = smtpLog{b.opts.Log}
	return s
}

// session is one SMTP connection's mail in the making.
type session struct {
	inbox *Inbox
	to    []string
}

func (s *session) Reset()                               { s.to = nil }
func (s *session) Logout() error                        { return nil }
func (s *session) Mail(string, *smtp.MailOptions) error { s.to = nil; return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	to = strings.ToLower(to)
	if s.inbox.opts.Refuse(to) {
		s.inbox.store.refuse()
		return &smtp.SMTPError{
			Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox",
		}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("receive mail: %w", err)
	}
	for _, to := range s.to {
		m, err := Parse(raw)
		if err != nil {
			return &smtp.SMTPError{
				Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "not a mail: " + err.Error(),
			}
		}
		m.To, m.ReceivedAt = to, s.inbox.opts.Now()
		s.inbox.store.add(m)
	}
	return nil
}

// smtpLog sends what the SMTP server complains about to slog.
type smtpLog struct{ log *slog.Logger }

func (l smtpLog) Printf(format string, v ...any) {
	l.log.Warn("smtp inbox", "error", fmt.Sprintf(format, v...))
}

func (l smtpLog) Println(v ...any) {
	l.log.Warn("smtp inbox", "error", strings.TrimSpace(fmt.Sprintln(v...)))
}
