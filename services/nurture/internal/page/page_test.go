package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestTimesAreToldAsPeopleTellThem(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for before, want := range map[time.Duration]string{
		0: "just now", 999 * time.Millisecond: "just now", 42 * time.Second: "42s ago", 61 * time.Second: "1m ago",
		10*time.Minute + 30*time.Second: "10m ago", 26 * time.Hour: "1 Mar 07:00",
	} {
		if got := ago(now, now.Add(-before)); got != want {
			t.Errorf("%s before now is %q, want %q", before, got, want)
		}
	}
	if ago(now, time.Time{}) != "" || clock(time.Time{}) != "" {
		t.Error("no time is told as one")
	}
}

func TestAPageRunsNoScriptAndEscapesWhatPeopleWrote(t *testing.T) {
	tmpl, err := Parse(`{{define "main"}}{{.Said}} {{words "NOT_READY"}}{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	data := struct {
		Head Head
		Said string
	}{Head{Title: "Desk", Refresh: 5}, "<script>alert(1)</script>"}
	if err := Write(w, tmpl, data); err != nil {
		t.Fatal(err)
	}
	body, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	if strings.Contains(body, "<script>") || !strings.Contains(body, "&lt;script&gt;") || !strings.Contains(body, "not ready") {
		t.Errorf("page is:\n%s", body)
	}
	if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
		t.Errorf("policy is %q", policy)
	}
}

func TestAPageWhoseNameWasPointedHereGetsNothing(t *testing.T) {
	h := Own(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for host, want := range map[string]int{
		"127.0.0.1:8025": 204, "localhost:8025": 204, "localhost": 204, "[::1]:8025": 204, "[::1]": 204, "192.168.1.7:8025": 204,
		"evil.example:8025": 421, "evil.example": 421, "127.0.0.1.evil.example:8025": 421, "localhost.evil.example": 421, "": 421, "[]": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%q is answered %d, want %d", host, w.Code, want)
		}
	}
}
