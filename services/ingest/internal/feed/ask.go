package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/guard"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
)

// Limits of a question.
const (
	askTimeout = 10 * time.Second
	maxAnswer  = 1 << 20
)

// Fetcher asks a sender's API. An error means that no whole answer came.
type Fetcher interface {
	Get(ctx context.Context, base, token string, q hook.Question) (status int, body []byte, err error)
}

// Web is a Fetcher over HTTP. It follows no redirect, and reaches public
// addresses only, unless the allow-list says otherwise.
type Web struct {
	guard  *guard.Guard
	client *http.Client
}

// NewWeb makes a fetcher. allow holds hosts, addresses and networks that may be
// reached although they are not public.
func NewWeb(allow []string) (*Web, error) {
	g, err := guard.New(allow)
	if err != nil {
		return nil, fmt.Errorf("fetch allow-list: %w", err)
	}
	return &Web{guard: g, client: &http.Client{
		Timeout: askTimeout,
		Transport: &http.Transport{
			DialContext: g.Dial, TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Get asks one question. Its errors contain neither the token nor the address.
func (w *Web) Get(ctx context.Context, base, token string, q hook.Question) (int, []byte, error) {
	query := url.Values{}
	for name, values := range q.Query {
		query[name] = values
	}
	if q.TokenParam != "" {
		query.Set(q.TokenParam, token)
	}
	address := strings.TrimSuffix(base, "/") + q.Path
	if err := w.guard.CheckURL(address); err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?"+query.Encode(), nil)
	if err != nil {
		return 0, nil, errors.New("the address cannot be asked: compare base_url")
	}
	for name, values := range q.Header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	if q.TokenParam == "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.client.Do(req) //nolint:gosec // the guard decides where to
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // the outer one quotes the address, and the token in it
		}
		return 0, nil, fmt.Errorf("ask %s: %w", req.URL.Host, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("read the answer of %s: %w", req.URL.Host, err)
	case len(body) > maxAnswer:
		return 0, nil, fmt.Errorf("the answer of %s has more than %d bytes", req.URL.Host, maxAnswer)
	}
	return resp.StatusCode, body, nil
}
