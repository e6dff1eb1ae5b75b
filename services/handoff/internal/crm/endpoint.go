package crm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	"github.com/nurturehq/nurture/pkg/guard"
)

const (
	// maxAnswer is how much of an answer is read; a CRM's words beyond are ignored.
	maxAnswer = 64 << 10
	// minSecret and maxSecret bound a signing key, in bytes.
	minSecret = 24
	maxSecret = 64
)

// EndpointConfig is where handoffs are delivered.
type EndpointConfig struct {
	// URL of the CRM's webhook; empty for none: handoffs then go to the
	// OUTBOUND stream alone.
	URL string `yaml:"url" help:"webhook of the CRM; empty: handoffs go to the OUTBOUND stream alone"`
	// Secrets sign each webhook ("whsec_" and base64 of 24 to 64 bytes). Several
	// while one replaces another: the webhook carries a signature of each.
	Secrets []string `yaml:"secrets" help:"whsec_ keys that sign webhooks; several while they rotate" secret:"true"`
	// Allow lists hosts and networks that may be reached although they are not
	// public, e.g. "127.0.0.0/8".
	Allow []string `yaml:"allow" help:"hosts and networks that may be reached although they are not public"`
	// Timeout bounds one attempt. Default 15 s.
	Timeout time.Duration `yaml:"timeout" help:"how long one attempt may take"`
	// Generation is changed to enable an endpoint again that answered 410 Gone.
	Generation string `yaml:"generation" help:"change it to enable an endpoint again that answered 410 Gone"`
}

// Endpoint sends signed webhooks to one URL over kept-alive connections.
type Endpoint struct {
	url        string
	generation string
	timeout    time.Duration
	signers    []*standardwebhooks.Webhook
	client     *http.Client
	now        func() time.Time
}

// NewEndpoint checks the configuration and makes the endpoint; nil when there
// is no URL.
func NewEndpoint(c EndpointConfig, now func() time.Time) (*Endpoint, error) {
	if c.URL == "" {
		return nil, nil //nolint:nilnil // no endpoint is a valid configuration
	}
	own, err := guard.New(c.Allow)
	if err != nil {
		return nil, fmt.Errorf("webhook allow-list: %w", err)
	}
	if err := own.CheckURL(c.URL); err != nil {
		return nil, fmt.Errorf("webhook url %s: %w", c.URL, err)
	}
	signers, err := newSigners(c.Secrets)
	if err != nil {
		return nil, err
	}
	if c.Timeout <= 0 {
		c.Timeout = 15 * time.Second
	}
	return &Endpoint{
		url: c.URL, generation: c.Generation, timeout: c.Timeout, signers: signers, now: now,
		client: &http.Client{
			Transport: &http.Transport{
				DialContext: own.Dial, TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true,
				MaxIdleConns: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second,
				MaxResponseHeaderBytes: maxAnswer,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func newSigners(secrets []string) ([]*standardwebhooks.Webhook, error) {
	if len(secrets) == 0 {
		return nil, errors.New("webhook has no secret: set secrets to a list of whsec_ keys (openssl rand -base64 32)")
	}
	signers := make([]*standardwebhooks.Webhook, len(secrets))
	for i, s := range secrets {
		if n := decodedLen(s); n < minSecret || n > maxSecret {
			return nil, fmt.Errorf("webhook secret %d has %d bytes of base64, want %d to %d after whsec_", i+1, n, minSecret, maxSecret)
		}
		signer, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			return nil, fmt.Errorf("webhook secret %d is not base64 after whsec_", i+1)
		}
		signers[i] = signer
	}
	return signers, nil
}

func decodedLen(secret string) int {
	s := strings.TrimPrefix(secret, "whsec_")
	return len(strings.TrimRight(s, "=")) * 6 / 8
}

// Key names the endpoint and its generation, without telling the URL: what
// was disabled under one key is enabled under another.
func (e *Endpoint) Key() string {
	sum := sha256.Sum256([]byte(e.url + "\n" + e.generation))
	return hex.EncodeToString(sum[:12])
}

// Sign gives the webhook-signature header: one signature per secret.
func (e *Endpoint) Sign(id string, at time.Time, body []byte) (string, error) {
	all := make([]string, len(e.signers))
	for i, s := range e.signers {
		sig, err := s.Sign(id, at, body)
		if err != nil {
			return "", fmt.Errorf("sign webhook %s: %w", id, err)
		}
		all[i] = sig
	}
	return strings.Join(all, " "), nil
}

// Answer is what came back of one attempt.
type Answer struct {
	// Status is the HTTP status; 0 when no answer came.
	Status int
	// RetryAfter is the header of that name, untouched.
	RetryAfter string
	// Err says why there is no whole answer.
	Err error
}

// Post sends one webhook and waits for the whole answer.
func (e *Endpoint) Post(ctx context.Context, id string, body []byte) Answer {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	req, err := e.request(ctx, id, body)
	if err != nil {
		return Answer{Err: err}
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return Answer{Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	a := Answer{Status: resp.StatusCode, RetryAfter: resp.Header.Get("Retry-After")}
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)); err != nil {
		a.Err = fmt.Errorf("read answer: %w", err)
	}
	return a
}

func (e *Endpoint) request(ctx context.Context, id string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("build webhook: %w", err)
	}
	at := e.now()
	signature, err := e.Sign(id, at, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", ContentType)
	req.Header.Set("User-Agent", "nurture-handoff/1")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(req.Header))
	return req, nil
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &ne) && ne.Timeout())
}
