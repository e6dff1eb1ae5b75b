package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// smtpSink takes every mail, throws it away, and remembers when that was.
type smtpSink struct {
	addr string
	mu   sync.Mutex
	at   []time.Time
}

func (s *smtpSink) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now())
}

func (s *smtpSink) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// steady is mails per second between the first tenth and the last, when nothing
// starts and nothing runs out.
func (s *smtpSink) steady() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	tenth := len(s.at) / 10
	from, to := tenth, len(s.at)-tenth-1
	return float64(to-from) / s.at[to].Sub(s.at[from]).Seconds()
}

type smtpSession struct{ sink *smtpSink }

func (s smtpSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s smtpSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s smtpSession) Reset()                               {}
func (s smtpSession) Logout() error                        { return nil }
func (s smtpSession) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("read mail: %w", err)
	}
	s.sink.take()
	return nil
}

func (r *rig) smtpSink(ctx context.Context) (*smtpSink, error) {
	l, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	sink := &smtpSink{addr: l.Addr().String()}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return smtpSession{sink}, nil }))
	srv.Domain, srv.AllowInsecureAuth = "localhost", true
	go func() {
		if err := srv.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			r.log.Error("smtp sink ended", "error", err)
		}
	}()
	r.onClose(func() { _ = srv.Close() })
	return sink, nil
}

// crmSink answers every webhook at once and tells whose it was.
func (r *rig) crmSink(ctx context.Context, arrived chan<- string) (url string, err error) {
	l, err := listen(ctx)
	if err != nil {
		return "", err
	}
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var event struct {
			Type string `json:"type"`
			Data struct {
				Profile struct {
					Email string `json:"email"`
				} `json:"profile"`
			} `json:"data"`
		}
		if err := json.NewDecoder(req.Body).Decode(&event); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if strings.HasSuffix(event.Type, ".assigned") {
			id, _, _ := strings.Cut(event.Data.Profile.Email, "@")
			arrived <- id
		}
		w.WriteHeader(http.StatusNoContent)
	})}
	go func() {
		if err := srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("CRM sink ended", "error", err)
		}
	}()
	r.onClose(func() { _ = srv.Close() })
	return "http://" + l.Addr().String() + "/hook", nil
}
