package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

// Hook is one webhook that arrived and was taken.
type Hook struct {
	ID, Type, Lead string
}

// CRMOptions are what a CRM works with.
type CRMOptions struct {
	Journal Journal
	Seed    uint64
	// Secret verifies the signatures.
	Secret string
	// Before is called when a webhook was written down and not answered yet.
	Before func()
	// Arrived is told of webhooks that were taken.
	Arrived func(Hook)
}

// CRM receives webhooks.
type CRM struct {
	o      CRMOptions
	verify *webhooks.Webhook
	mu     sync.Mutex
	tries  map[string]int
}

// WebhookPath is where a CRM takes webhooks.
const WebhookPath = "/webhook"

// maxHook bounds a webhook's body, in bytes.
const maxHook = 1 << 20

// NewCRM makes a CRM.
func NewCRM(o CRMOptions) (*CRM, error) {
	verify, err := webhooks.NewWebhook(o.Secret)
	if err != nil {
		return nil, fmt.Errorf("read webhook secret: %w", err)
	}
	return &CRM{o: o, verify: verify, tries: map[string]int{}}, nil
}

// Run serves until ctx ends.
func (c *CRM) Run(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+WebhookPath, c.hook)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve CRM: %w", err)
	}
	return nil
}

func (c *CRM) hook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
	if err != nil {
		return // its sender died
	}
	if err := c.verify.Verify(body, r.Header); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var e struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Subject string `json:"subject"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.ID == "" || e.ID != r.Header.Get("webhook-id") {
		http.Error(w, "not a CloudEvent of this webhook-id", http.StatusBadRequest)
		return
	}
	code := c.answer(e.ID, e.Subject)
	if err := c.o.Journal.Write(torture.Line{Op: torture.OpHook, ID: e.ID, Lead: e.Subject, Type: e.Type, Code: code}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	c.o.Before()
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	if code == http.StatusOK {
		c.o.Arrived(Hook{ID: e.ID, Type: strings.TrimPrefix(e.Type, "com.nurture.handoff."), Lead: e.Subject})
	}
}

// answer depends on the seed and the lead: some leads' records are broken for
// good, some need a few tries, most are fine.
func (c *CRM) answer(id, lead string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tries[id]++
	switch roll := Roll(c.o.Seed, lead, 100); {
	case roll < 15:
		return http.StatusInternalServerError
	case roll < 35 && c.tries[id] <= 2:
		return http.StatusTooManyRequests
	}
	return http.StatusOK
}
