package crm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/nurturehq/nurture/pkg/guard"
)

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // the published test vector

func endpoint(t testing.TB, url string, timeout time.Duration, secrets ...string) *Endpoint {
	t.Helper()
	if len(secrets) == 0 {
		secrets = []string{testSecret}
	}
	e, err := NewEndpoint(EndpointConfig{URL: url, Secrets: secrets, Allow: []string{"127.0.0.0/8"}, Timeout: timeout}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestTheSignatureIsTheOneOfTheStandard(t *testing.T) {
	e := endpoint(t, "http://127.0.0.1:1/", time.Second)
	got, err := e.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if err != nil || got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Fatalf("got %s, %v", got, err)
	}
}

func TestAReceiverVerifiesWithEitherSecretWhileTheyRotate(t *testing.T) {
	second := "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" //nolint:gosec // made for this test
	var header http.Header
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
	}))
	defer srv.Close()
	if a := endpoint(t, srv.URL, time.Second, testSecret, second).Post(t.Context(), "ho_1", []byte(`{"a":1}`)); a.Status != 200 || a.Err != nil {
		t.Fatalf("got %+v", a)
	}
	for _, secret := range []string{testSecret, second} {
		wh, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := wh.Verify(body, header); err != nil {
			t.Errorf("%v", err)
		}
		if err := wh.Verify(append(body, ' '), header); err == nil {
			t.Error("a changed body verifies")
		}
	}
	if header.Get("webhook-id") != "ho_1" || header.Get("Content-Type") != ContentType {
		t.Fatalf("headers %v", header)
	}
}

// TestEveryKindOfAnswer is the fault table: what a real server does, and what
// the desk is told about it.
func TestEveryKindOfAnswer(t *testing.T) {
	elsewhere := atomic.Int32{}
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	release := make(chan struct{})
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	tests := []struct {
		name      string
		handler   http.HandlerFunc
		reason    string
		status    int
		delivered bool
		permanent bool
		retry     time.Duration
	}{
		{"200", func(http.ResponseWriter, *http.Request) {}, reasonDelivered, 200, true, false, 0},
		{"202 with a long answer", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(202)
			_, _ = w.Write(make([]byte, 1<<20))
		}, reasonDelivered, 202, true, false, 0},
		{"500", code(500, ""), reasonHTTP, 500, false, false, 0},
		{"404 is mended by somebody some day", code(404, ""), reasonHTTP, 404, false, false, 0},
		{"429 with seconds", code(429, "120"), reasonHTTP, 429, false, false, 2 * time.Minute},
		{"503 with a date", code(503, now.Add(time.Hour).Format(http.TimeFormat)), reasonHTTP, 503, false, false, time.Hour},
		{"429 with a century", code(429, "3153600000"), reasonHTTP, 429, false, false, 24 * time.Hour},
		{"429 with nonsense", code(429, "soon"), reasonHTTP, 429, false, false, 0},
		{"410", code(410, "60"), reasonDisabled, 410, false, true, 0},
		{"a redirect is not followed", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, reasonRedirect, 307, false, false, 0},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, reasonHalfAnswer, 200, false, false, 0},
		{"no answer in time", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client is gone
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}, reasonTimeout, 0, false, false, 0},
		{"the connection breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, reasonUnreachable, 0, false, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.handler)
			srv.Config.ErrorLog = nil
			defer srv.Close()
			o := judge(endpoint(t, srv.URL, 300*time.Millisecond).Post(t.Context(), "ho_1", []byte("{}")), now)
			if o.GetReason() != tt.reason || int(o.GetHttpStatus()) != tt.status || o.GetDelivered() != tt.delivered || o.GetPermanent() != tt.permanent {
				t.Fatalf("got %v", o)
			}
			got := time.Duration(0)
			if o.GetRetryAt() != nil {
				got = o.GetRetryAt().AsTime().Sub(now)
			}
			if got != tt.retry {
				t.Fatalf("retry after %s, want %s", got, tt.retry)
			}
			if !tt.delivered && o.GetError() == "" {
				t.Fatal("nobody is told what went wrong")
			}
			if strings.Contains(o.GetError(), srv.URL) {
				t.Fatalf("the error tells the URL: %s", o.GetError())
			}
		})
	}
	close(release)
	if elsewhere.Load() != 0 {
		t.Fatal("a redirect was followed")
	}
}

func code(status int, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
	}
}

func TestABlockedAddressIsForGood(t *testing.T) {
	e := endpoint(t, "http://127.0.0.1:1/", time.Second)
	strict, _ := guard.New(nil)
	e.client.Transport = &http.Transport{DialContext: strict.Dial}
	if o := judge(e.Post(t.Context(), "ho_1", nil), time.Now()); !o.GetPermanent() || o.GetReason() != reasonBlocked {
		t.Fatalf("got %v", o)
	}
}

func TestConnectionsAreKeptAlive(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "ok") }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	e := endpoint(t, srv.URL, time.Second)
	for range 20 {
		if a := e.Post(t.Context(), "ho_1", []byte("{}")); a.Err != nil {
			t.Fatal(a.Err)
		}
	}
	if conns.Load() != 1 {
		t.Fatalf("%d connections for 20 webhooks", conns.Load())
	}
}

func TestASlowDripIsCutOff(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go drip(ctx, l)
	o := judge(endpoint(t, "http://"+l.Addr().String(), 200*time.Millisecond).Post(t.Context(), "ho_1", []byte("{}")), time.Now())
	if o.GetDelivered() || o.GetReason() != reasonHalfAnswer {
		t.Fatalf("got %v", o)
	}
}

// drip answers one byte at a time, for ever.
func drip(ctx context.Context, l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = bufio.NewReader(conn).ReadString('\n')
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := io.WriteString(conn, "."); err != nil {
				return
			}
		}
	}
}

func TestABadEndpointSaysWhatToDo(t *testing.T) {
	for want, c := range map[string]EndpointConfig{
		"openssl rand":         {URL: "https://crm.example/h"},
		"want 24 to 64":        {URL: "https://crm.example/h", Secrets: []string{"whsec_c2hvcnQ="}},
		"not base64":           {URL: "https://crm.example/h", Secrets: []string{"whsec_" + strings.Repeat("*", 40)}},
		"allow-list":           {URL: "http://127.0.0.1/h", Secrets: []string{testSecret}},
		"use https":            {URL: "ftp://crm.example/h", Secrets: []string{testSecret}},
		"neither a host name,": {URL: "https://crm.example/h", Secrets: []string{testSecret}, Allow: []string{"a/b/c"}},
	} {
		if _, err := NewEndpoint(c, time.Now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if e, err := NewEndpoint(EndpointConfig{}, time.Now); e != nil || err != nil {
		t.Errorf("no URL is a valid configuration: %v, %v", e, err)
	}
}

func TestAnotherGenerationIsAnotherEndpoint(t *testing.T) {
	a, b := endpoint(t, "http://127.0.0.1:1/", 0), endpoint(t, "http://127.0.0.1:1/", 0)
	b.generation = "2"
	if a.Key() == b.Key() || strings.Contains(a.Key(), "127") {
		t.Fatalf("keys %s and %s", a.Key(), b.Key())
	}
}
