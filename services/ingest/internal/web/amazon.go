package web

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/hook/ses"
)

// Bounds of what is asked of Amazon.
const (
	amazonTimeout = 5 * time.Second
	maxPEM        = 64 << 10
	maxCerts      = 32
	// badFor is how long an address that gave no certificate is not asked again.
	badFor = 30 * time.Second
)

// Amazon reads SNS's certificates and confirms its subscriptions, on SNS's own
// hosts only and without following anybody elsewhere. Safe for concurrent use.
type Amazon struct {
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex
	certs map[string]cert
}

type cert struct {
	parsed *x509.Certificate
	err    error
	at     time.Time
}

// NewAmazon makes one. A nil transport is the usual one.
func NewAmazon(transport http.RoundTripper, now func() time.Time) *Amazon {
	return &Amazon{now: now, certs: map[string]cert{}, client: &http.Client{
		Timeout: amazonTimeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Certificate gives the certificate at an address of SNS, from memory if it can.
func (a *Amazon) Certificate(address string) (*x509.Certificate, error) {
	a.mu.Lock()
	known, ok := a.certs[address]
	a.mu.Unlock()
	if ok && (known.err == nil || a.now().Sub(known.at) < badFor) {
		return known.parsed, known.err
	}
	parsed, err := a.fetch(address)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.certs) >= maxCerts {
		clear(a.certs)
	}
	a.certs[address] = cert{parsed, err, a.now()}
	return parsed, err
}

func (a *Amazon) fetch(address string) (*x509.Certificate, error) {
	raw, err := a.get(address)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("there is no certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// Confirm visits the address that confirms a subscription.
func (a *Amazon) Confirm(address string) error {
	_, err := a.get(address)
	return err
}

func (a *Amazon) get(address string) ([]byte, error) {
	if err := ses.Pinned(address); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), amazonTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("ask Amazon: %w", err)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask Amazon: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask Amazon: it answered %s", resp.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxPEM))
	if err != nil {
		return nil, fmt.Errorf("ask Amazon: %w", err)
	}
	return raw, nil
}
