package ingest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/signal"
)

// hearing is what a look at signals.yaml found.
type hearing struct {
	rules *signal.Rules
	err   error
	sum   [sha256.Size]byte
}

// readSignals reads signals.yaml; without one what is built in holds.
func readSignals(cfg Config) hearing {
	var raw []byte
	if cfg.Signals != "" {
		var err error
		if raw, err = os.ReadFile(cfg.Signals); err != nil {
			err = fmt.Errorf("read signals: %w (set signals to the path of your signals.yaml, or to nothing)", err)
			return hearing{err: err, sum: sha256.Sum256([]byte(err.Error()))}
		}
	}
	h := hearing{sum: sha256.Sum256(raw)}
	if h.rules, h.err = signal.Parse(cfg.Signals, raw); h.err == nil {
		h.rules, h.err = h.rules.WithQuarantine(cfg.Quarantine)
	}
	return h
}

// listenAgain reads signals.yaml again when it changed. A file that cannot be used
// changes nothing, and says so. New rules are stored before they are used.
func (s *Service) listenAgain(ctx context.Context) {
	h := readSignals(s.cfg)
	w := &s.listener
	w.mu.Lock()
	defer w.mu.Unlock()
	settled := h.sum == w.last
	w.last = h.sum
	if !settled || h.sum == w.used {
		return
	}
	if h.err != nil {
		w.used = h.sum
		s.deps.Log.ErrorContext(ctx, "signals cannot be used; the former ones stay", "file", s.cfg.Signals, "error", h.err)
		return
	}
	if err := s.signals.Use(ctx, h.rules); err != nil { // the next look tries again
		s.deps.Log.WarnContext(ctx, "store signals", "file", s.cfg.Signals, "error", err)
		return
	}
	w.used, w.readAt = h.sum, s.deps.Now()
	s.deps.Log.InfoContext(ctx, "signals were read again; nurture signals rejudge applies them to what was before", "file", s.cfg.Signals, "rules", h.rules.Version)
}

// attend names in a command the rules by which its opens, clicks and address are
// judged. Whatever an event says of being a test counts for its lead.
func (s *Service) attend(cmd *ingestv1.Apply) {
	c := cmd.GetCapture()
	a, p := c.GetActivity(), c.GetProfile()
	if signal.Yes(a.GetProperties()[signal.IsTest]) {
		if c.Profile == nil {
			c.Profile = &leadv1.Profile{}
		}
		if p = c.Profile; p.Attributes == nil {
			p.Attributes = map[string]string{}
		}
		p.Attributes[signal.IsTest] = "true"
	}
	if p.GetEmail() != "" || p.GetCompanyDomain() != "" || p.GetAttributes()[signal.IsTest] != "" || signal.IsHit(a) {
		cmd.Signals = s.signals.Current().Version
	}
}
