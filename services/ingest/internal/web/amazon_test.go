package web_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/web"
)

// rerouted sends every request to a server of our own, whatever its address.
type rerouted struct{ to *httptest.Server }

func (r rerouted) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Host = strings.TrimPrefix(r.to.URL, "https://")
	return r.to.Client().Transport.RoundTrip(req)
}

func TestAmazonIsAskedOnceOnItsOwnHostsAndFollowedNowhere(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Path {
		case "/good.pem":
			_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		case "/moved.pem":
			w.Header().Set("Location", "https://evil.example/x.pem")
			w.WriteHeader(http.StatusFound)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	a := web.NewAmazon(rerouted{server}, func() time.Time { return now })
	const sns = "https://sns.eu-central-1.amazonaws.com"
	for range 3 {
		if c, err := a.Certificate(sns + "/good.pem"); err != nil || !c.Equal(server.Certificate()) {
			t.Fatalf("certificate %v, error %v", c, err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times for one certificate", asked.Load())
	}
	for _, address := range []string{sns + "/moved.pem", sns + "/none.pem", sns + "/none.pem"} {
		if _, err := a.Certificate(address); err == nil {
			t.Errorf("%s gave a certificate", address)
		}
	}
	if asked.Load() != 3 {
		t.Errorf("asked %d times, want a failure remembered for a while", asked.Load())
	}
	now = now.Add(time.Minute)
	_, _ = a.Certificate(sns + "/none.pem")
	if asked.Load() != 4 {
		t.Errorf("asked %d times, want the failure forgotten", asked.Load())
	}
	for _, address := range []string{"https://evil.example/good.pem", "http://sns.eu-central-1.amazonaws.com/good.pem"} {
		if _, err := a.Certificate(address); err == nil || a.Confirm(address) == nil {
			t.Errorf("%s was visited", address)
		}
	}
	if asked.Load() != 4 {
		t.Error("an address that is not Amazon's was visited")
	}
	if err := a.Confirm(sns + "/?Action=ConfirmSubscription"); err == nil {
		t.Error("a refused confirmation counts as one")
	}
}
