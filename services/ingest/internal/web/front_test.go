package web

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nurturehq/nurture/pkg/visitor"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
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

func website(t *testing.T) *source.Live {
	t.Helper()
	set, err := source.Parse("s.yaml", []byte("sources:\n  website:\n    form: {}\n    keys: [sha256:f31ceeae01ae3cebcb26cfa47eec0294f593ad761279eeacfc58b5801f2b2fb3]\n  partner: {kind: postmark, secrets: [{env: SECRET}]}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return source.NewLive(set)
}

func TestAVisitorIsAskedForByItsAddressAndOurMachinesAreNot(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.7:5": "192.0.2.7", "[2001:db8:1:2:3::4]:5": "2001:db8:1:2::/64", "127.0.0.1:5": "", "10.0.0.1:5": "", "[fe80::1]:5": "",
	} {
		asked := ""
		f := New(Deps{Visit: func(_ context.Context, _ *source.Source, ip string, _ bool) (bool, error) {
			asked = ip
			return false, errors.New("not now")
		}})
		if _, err := f.routes.visit(request(peer), nil); asked != want || (err == nil) != (want == "") {
			t.Errorf("%s is asked for as %q, %v; expected %q", peer, asked, err, want)
		}
	}
}

func TestBodiesInMemoryAreBounded(t *testing.T) {
	f := New(Deps{Sources: website(t)})
	for name, tc := range map[string]struct {
		free int64
		path string
		body string
	}{
		"no room for any":         {minBody - 1, "/v1/forms/website", "email=jo@acme.example"},
		"no room for all of it":   {100 << 10, "/v1/forms/website", "email=jo@acme.example&x=" + strings.Repeat("x", 200<<10)},
		"no room for what it was": {100 << 10, "/v1/batch", zipped(t, strings.Repeat("x", 200<<10))},
		"no room for a webhook":   {100 << 10, "/v1/hooks/partner", strings.Repeat("x", 200<<10)},
	} {
		if !f.memory.TryAcquire(maxMemory - tc.free) {
			t.Fatal("memory is not free")
		}
		req, w := httptest.NewRequest(http.MethodPost, tc.path, strings.NewReader(tc.body)), httptest.NewRecorder()
		counted := ""
		f.routes.Hooks = Hooks{Dialects: map[string]hook.Dialect{"postmark": believing{}}, Count: func(_ context.Context, _ *source.Source, result string) { counted = result }}
		f.ServeHTTP(w, req)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "send again") {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
		if counted != "" && counted != hookLater {
			t.Errorf("%s: counted as %s", name, counted)
		}
		f.memory.Release(maxMemory - tc.free)
	}
	if !f.memory.TryAcquire(maxMemory) {
		t.Error("a request that was refused still holds memory")
	}
}

// silent is a body that is announced and does not come before the test ends.
type silent struct{ begun, over chan struct{} }

func (s silent) Read([]byte) (int, error) {
	s.begun <- struct{}{}
	<-s.over
	return 0, io.ErrUnexpectedEOF
}

func TestWhoAnnouncesMuchAndSendsNothingTakesNobodysPlace(t *testing.T) {
	f := New(Deps{Sources: website(t), Log: slog.New(slog.DiscardHandler)})
	body := silent{begun: make(chan struct{}), over: make(chan struct{})}
	var all sync.WaitGroup
	for range 200 {
		req := httptest.NewRequest(http.MethodPost, "/v1/batch", body)
		req.ContentLength = maxBody
		req.Header.Set("Content-Encoding", "gzip")
		all.Go(func() { f.ServeHTTP(httptest.NewRecorder(), req) })
		<-body.begun
	}
	if !f.memory.TryAcquire(maxMemory - 200*minBody) {
		t.Error("bodies that never came take memory")
	}
	f.memory.Release(maxMemory - 200*minBody)
	close(body.over)
	all.Wait()
}

// believing is a dialect that believes every call and reads nothing in it.
type believing struct{}

func (believing) Verify(hook.Request, *source.Source) error               { return nil }
func (believing) Read(hook.Request, *source.Source) (hook.Reading, error) { return hook.Reading{}, nil }

func zipped(t *testing.T, text string) string {
	t.Helper()
	var buf strings.Builder
	z := gzip.NewWriter(&buf)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestTheBytesOfEverySourceThatProvedItselfAreCounted(t *testing.T) {
	received := map[string]int{}
	f := New(Deps{
		Sources: website(t), Now: time.Now,
		Received: func(_ context.Context, source string, n int) { received[source] += n },
		Visit:    func(context.Context, *source.Source, string, bool) (bool, error) { return false, nil },
		Accept: func(_ context.Context, subs []person.Submission) []person.Outcome {
			return make([]person.Outcome, len(subs))
		},
		Hooks: Hooks{
			Dialects: map[string]hook.Dialect{"postmark": believing{}},
			Take:     func(context.Context, hook.Told) error { return nil },
			Count:    func(context.Context, *source.Source, string) {},
		},
	})
	event := `{"type":"track","userId":"u","event":"e"}`
	for _, tc := range []struct {
		path, key, body, source string
		bytes                   int
	}{
		{"/v1/forms/website", "", "email=jo@acme.example", "website", 21},
		{"/v1/track", "website-write-key", event, "website", len(event)},
		{"/v1/track", "website-write-key", zipped(t, event), "website", len(event)},
		{"/v1/track", "a stranger", event, "website", 0},
		{"/v1/hooks/partner", "", "{}", "partner", 2},
	} {
		clear(received)
		req := httptest.NewRequest(http.MethodPost, tc.path, strings.NewReader(tc.body))
		if tc.key != "" {
			req.SetBasicAuth(tc.key, "")
		}
		f.ServeHTTP(httptest.NewRecorder(), req)
		if received[tc.source] != tc.bytes {
			t.Errorf("%s under %q: %v bytes are counted, expected %d", tc.path, tc.key, received, tc.bytes)
		}
	}
}
