package ingest_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"
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
