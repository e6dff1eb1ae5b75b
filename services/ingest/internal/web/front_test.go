package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/nurturehq/nurture/pkg/visitor"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

func request(peer string, forwarded ...string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "/v1/forms/website", strings.NewReader("email=jo@acme.example"))
	req.RemoteAddr = peer
	for _, f := range forwarded {
		req.Header.Add("X-Forwarded-For", f)
	}
	return req
}

func TestOnlyOurProxiesAreBelievedWhereARequestComesFrom(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}
	for _, tc := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"by a proxy", "10.1.2.3:5", []string{"192.0.2.7"}, "192.0.2.7"},
		{"by two of them", "10.1.2.3:5", []string{"192.0.2.7, 10.9.9.9"}, "192.0.2.7"},
		{"what the visitor claims comes first and does not count", "10.1.2.3:5", []string{"203.0.113.9, 192.0.2.7"}, "192.0.2.7"},
		{"headers in two lines", "10.1.2.3:5", []string{"203.0.113.9", "192.0.2.7"}, "192.0.2.7"},
		{"by nobody we know", "198.51.100.1:5", []string{"192.0.2.7"}, ""},
		{"no header", "10.1.2.3:5", nil, ""},
		{"no address", "10.1.2.3:5", []string{"unknown"}, ""},
		{"IPv6", "127.0.0.1:5", []string{"2001:db8::1"}, "2001:db8::1"},
	} {
		if got := visitor.RealIP(request(tc.peer, tc.forwarded...), proxies); got != tc.want {
			t.Errorf("%s: %q, expected %q", tc.name, got, tc.want)
		}
	}
}

func TestAVisitorIsAskedForByItsAddressAndOurMachinesAreNot(t *testing.T) {
	set, err := source.Parse("s.yaml", []byte("sources:\n  website:\n    form: {}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for peer, want := range map[string]string{
		"192.0.2.7:5": "192.0.2.7", "[2001:db8:1:2:3::4]:5": "2001:db8:1:2::/64", "127.0.0.1:5": "", "10.0.0.1:5": "", "[fe80::1]:5": "",
	} {
		asked := ""
		f := New(Deps{Sources: source.NewLive(set), Visit: func(_ context.Context, _ *source.Source, ip string) error {
			asked = ip
			return errors.New("not now")
		}})
		if err := f.visit(request(peer)); asked != want || (err == nil) != (want == "") {
			t.Errorf("%s is asked for as %q, %v; expected %q", peer, asked, err, want)
		}
	}
}

func TestBodiesInMemoryAreBounded(t *testing.T) {
	set, err := source.Parse("s.yaml", []byte("sources:\n  website:\n    form: {}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := New(Deps{Sources: source.NewLive(set)})
	if !f.memory.TryAcquire(maxMemory - minBody + 1) {
		t.Fatal("memory is not free at the beginning")
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, request("127.0.0.1:5"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "send again") {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
	f.memory.Release(maxMemory - minBody + 1)
	if !f.memory.TryAcquire(maxMemory) {
		t.Error("the request that was refused still holds memory")
	}
}
