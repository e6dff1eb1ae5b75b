package ingest_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func gzipped(t *testing.T, body string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestEveryRouteBoundsWhatItTakes holds all routes to the same limits: the body
// as it comes, what it becomes when it is unzipped, and how deep it nests.
func TestEveryRouteBoundsWhatItTakes(t *testing.T) {
	r := hookRoom(t, partnerYAML+"  site: {form: {}}\n  app: {keys: ["+hashed("app-key")+"]}\n")
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	for _, route := range []struct{ path, media, good, deep, large string }{
		{"/v1/forms/site", "application/json", `{"email":"jo@acme.example"}`, `{"email":"jo@acme.example","x":` + deep + `}`, `{"email":"jo@acme.example","x":"%s"}`},
		{"/v1/batch?writeKey=app-key", "application/json", `{"batch":[{"type":"track","userId":"u","event":"e"}]}`, `{"batch":[` + deep + `]}`, `{"batch":[{"type":"track","userId":"u","event":"%s"}]}`},
		{"/batch", "text/plain", `{"api_key":"app-key","batch":[{"event":"e","distinct_id":"u"}]}`, `{"api_key":"app-key","batch":[` + deep + `]}`, `{"api_key":"app-key","batch":[{"event":"%s","distinct_id":"u"}]}`},
		{"/v1/hooks/partner", "application/json", "", `{"x":` + deep + `}`, `{"x":"%s"}`},
	} {
		send := func(body []byte, headers ...string) int {
			return r.post(route.path, body, append([]string{"Content-Type", route.media, "Accept", "application/json"}, headers...)...).status
		}
		large := fmt.Sprintf(route.large, strings.Repeat("a", 2<<20))
		if got := send([]byte(large)); got != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: 2 MB were answered %d", route.path, got)
		}
		if got := send(gzipped(t, large), "Content-Encoding", "gzip"); got != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: a small body that becomes 2 MB was answered %d", route.path, got)
		}
		if got := send([]byte("\x1f\x8b no gzip"), "Content-Encoding", "gzip"); got != http.StatusBadRequest {
			t.Errorf("%s: a broken gzip was answered %d", route.path, got)
		}
		if route.good == "" { // who is not proved is told nothing about the body
			if got := r.signed(route.path, "m1", route.deep).status; got != http.StatusBadRequest {
				t.Errorf("%s: a deep body was answered %d", route.path, got)
			}
			continue
		}
		if got := send([]byte(route.deep)); got != http.StatusBadRequest {
			t.Errorf("%s: a deep body was answered %d", route.path, got)
		}
		if got := send(gzipped(t, route.good), "Content-Encoding", "gzip"); got/100 != 2 {
			t.Errorf("%s: a compressed body was answered %d", route.path, got)
		}
	}
	if n := r.leads(); n != 2 {
		t.Errorf("%d leads, expected the form's and the user's", n)
	}
}

func TestAWebhookBeyondTheRateOfItsSourceIsToldWhenToComeAgain(t *testing.T) {
	r := hookRoom(t, partnerYAML+"    limits: {events_per_second: 0.01, burst: 2}\n")
	for i, want := range []int{200, 200, 429} {
		got := r.signed("/v1/hooks/partner", fmt.Sprint("m", i), fmt.Sprintf(`{"contact":{"mail":"jo%d@acme.example"}}`, i))
		if got.status != want || want == 429 && got.header.Get("Retry-After") == "" {
			t.Errorf("call %d was answered %d, Retry-After %q", i, got.status, got.header.Get("Retry-After"))
		}
	}
	if n := r.leads(); n != 2 {
		t.Errorf("%d leads", n)
	}
}

func TestWhoSendsTooSlowlyIsToldAndCutOff(t *testing.T) {
	r := newRoom(t)
	const patience = 5 * time.Second
	began := time.Now()
	var all sync.WaitGroup
	for name, tc := range map[string]struct{ sends, answer string }{
		"half the headers":       {"POST /v1/forms/website HTTP/1.1\r\nHost: x\r\nX: ", ""},
		"half a form":            {"POST /v1/forms/website HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nemail=", "HTTP/1.1 408"},
		"half an event":          {"POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", "HTTP/1.1 408"},
		"a body that never ends": {"POST /v1/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "HTTP/1.1 408"},
	} {
		all.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write([]byte(tc.sends)); err != nil {
				t.Error(err)
				return
			}
			_ = conn.SetReadDeadline(began.Add(3 * patience))
			answer, err := io.ReadAll(conn) // until the server closes it
			if took := time.Since(began); err != nil || !strings.HasPrefix(string(answer), tc.answer) || took < patience-time.Second {
				t.Errorf("%s: after %s %.80q, %v; expected %s and the end after %s", name, took, answer, err, tc.answer, patience)
			}
		})
	}
	all.Wait()
	if n := r.leads(); n != 0 {
		t.Errorf("%d leads of halves", n)
	}
}
