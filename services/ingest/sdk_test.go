package ingest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// libraries installs the real libraries, as pinned in testdata/sdk.
func libraries(t *testing.T) (dir string) {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not installed: the real tracking libraries are not tried (Debian: apt-get install npm)")
	}
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "sdk"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional", "--prefer-offline")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		for _, offline := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH"} {
			if strings.Contains(string(out), offline) {
				t.Skipf("npm reaches no registry: the real tracking libraries are not tried\n%s", out)
			}
		}
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return dir
}

// troubled stands before a server and answers the first few calls itself; those
// it is told to lose reach the server all the same, and only their answers are
// lost.
func troubled(t *testing.T, target string, status, times int, deliver bool) (address string, calls *atomic.Int64) {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	calls = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if calls.Add(1) > int64(times) {
			proxy.ServeHTTP(w, req)
			return
		}
		if deliver {
			proxy.ServeHTTP(httptest.NewRecorder(), req)
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, calls
}

// run sends what a script sends.
func run(t *testing.T, dir, script string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if len(out) > 0 {
		t.Logf("%s: %s", script, out)
	}
	if err != nil {
		t.Fatalf("node %s: %v", script, err)
	}
}

func TestEveryEventOfTheRealLibrariesIsOneActivityWhateverWeAnsweredFirst(t *testing.T) {
	dir := libraries(t)
	r := newRoom(t)
	for _, trouble := range []struct {
		name          string
		status, times int
		deliver       bool
		visitor       string
		givesUp       string // the library that does not send again then
	}{
		{name: "no trouble", visitor: "yes"},
		{name: "429 twice", status: http.StatusTooManyRequests, times: 2, visitor: "yes"},
		{name: "408 twice", status: http.StatusRequestTimeout, times: 2, visitor: "yes", givesUp: "rudder"},
		{name: "503 twice", status: http.StatusServiceUnavailable, times: 2, visitor: "yes"},
		{name: "503 after it was taken", status: http.StatusServiceUnavailable, times: 2, deliver: true, visitor: "yes"},
	} {
		for _, library := range []string{"segment", "rudder", "posthog"} {
			t.Run(library+", "+trouble.name, func(t *testing.T) {
				t.Parallel()
				if library == trouble.givesUp {
					t.Skip("this library takes the answer for a final one")
				}
				address, calls := troubled(t, r.url, trouble.status, trouble.times, trouble.deliver)
				user := strings.NewReplacer(" ", "-", ",", "").Replace(library + "-" + trouble.name)
				run(t, dir, library+".js", address, websiteKey, user, trouble.visitor)
				if n := calls.Load(); n <= int64(trouble.times) {
					t.Fatalf("%d calls: the library gave up", n)
				}
				r.expectVisit(t, user, trouble.visitor == "yes")
			})
		}
	}
}

// expectVisit wants what the scripts send, each thing once, with one person, who
// perhaps was a visitor before.
func (r *room) expectVisit(t *testing.T, user string, visitor bool) {
	t.Helper()
	who, err := r.api.TrackActivity(t.Context(), &ingestv1.TrackActivityRequest{
		Who: &ingestv1.Who{UserId: user}, Activity: &leadv1.Activity{Type: "asked_for"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.api.ListActivities(t.Context(), &ingestv1.ListActivitiesRequest{LeadId: who.GetLeadId()})
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, a := range got.GetActivities() {
		types = append(types, a.GetType())
		if a.GetType() == "step_3" && a.GetProperties()["cart_total"] != "3" {
			t.Errorf("step 3 has the properties %v", a.GetProperties())
		}
	}
	slices.Sort(types)
	want := "asked_for page_viewed screen_viewed step_0 step_1 step_2 step_3 step_4 step_5"
	if visitor {
		want = strings.Replace(want, " ", " before_sign_up ", 1)
	}
	if got := strings.Join(types, " "); got != want {
		t.Errorf("activities %q, expected %q", got, want)
	}
	l, err := r.api.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: who.GetLeadId()})
	if err != nil {
		t.Fatal(err)
	}
	p, touch := l.GetLead().GetProfile(), l.GetLead().GetFirstTouch()
	if p.GetEmail() != user+"@acme.example" || p.GetLastName() != "Doe" || p.GetCompany() != "Acme" || p.GetEmployees() != 120 {
		t.Errorf("profile %v", p)
	}
	if touch.GetUtmSource() != "search" {
		t.Errorf("first touch %v", touch)
	}
}
