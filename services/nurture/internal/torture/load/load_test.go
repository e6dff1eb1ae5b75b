package load_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/load"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/sink"
)

// notes is a journal in memory.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) Write(lines ...torture.Line) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range lines {
		text := string(l.Op) + " " + l.ID
		if l.Op == torture.OpAnswer {
			text += " " + string(l.Status)
		}
		n.lines = append(n.lines, text)
	}
	return nil
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string{}, n.lines...)
}

// play sends steps to a service that answers each request in turn.
func play(t *testing.T, steps []torture.Step, answers ...func(http.ResponseWriter)) (journal, bodies []string) {
	t.Helper()
	var mu sync.Mutex
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		mu.Lock()
		n := len(bodies)
		bodies = append(bodies, r.URL.Path+" "+string(raw))
		mu.Unlock()
		answers[min(n, len(answers)-1)](w)
	}))
	defer srv.Close()
	n := &notes{}
	l := load.New(load.Options{
		Journal: n, Ingest: srv.URL, Handoff: srv.URL, Source: "website", Key: "k", Now: time.Now, Patience: 5 * time.Second,
		Fail: func(err error) { t.Error(err) },
	})
	l.Play(t.Context(), []*torture.Person{{Key: "p1", Steps: steps}}, nil)
	idle(t, l)
	return n.all(), bodies
}

func idle(t *testing.T, l *load.Load) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); l.Busy() > 0; <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the load never ends")
		}
	}
}

func says(code int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func hangsUp(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func step(id string) torture.Step {
	return torture.Step{ID: id, Kind: torture.Track, Type: torture.PageViewed, Message: "hi"}
}

func TestEveryCallIsWrittenDownBeforeAndAfter(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answers []func(http.ResponseWriter)
		want    []string
	}{
		"taken":                     {[]func(http.ResponseWriter){says(200, `{"success":true}`)}, []string{"send a", "answer a acked"}},
		"a redirect is taken":       {[]func(http.ResponseWriter){says(303, "")}, []string{"send a", "answer a acked"}},
		"refused":                   {[]func(http.ResponseWriter){says(422, `{"detail":"no"}`)}, []string{"send a", "answer a refused"}},
		"rejected inside a success": {[]func(http.ResponseWriter){says(200, `{"success":false}`)}, []string{"send a", "answer a refused"}},
		"unavailable, then taken":   {[]func(http.ResponseWriter){says(503, ""), says(200, "{}")}, []string{"send a", "answer a unknown", "send a", "answer a acked"}},
		"too many, then taken":      {[]func(http.ResponseWriter){says(429, ""), says(200, "{}")}, []string{"send a", "answer a unknown", "send a", "answer a acked"}},
		"silence, then taken":       {[]func(http.ResponseWriter){hangsUp, says(200, "{}")}, []string{"send a", "answer a unknown", "send a", "answer a acked"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			journal, _ := play(t, []torture.Step{step("a")}, tt.answers...)
			if diff := cmp.Diff(tt.want, journal); diff != "" {
				t.Errorf("journal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheNextEventWaitsForTheAnswerAndABatchIsOneCall(t *testing.T) {
	t.Parallel()
	second, third := step("b"), step("c")
	second.With = true
	journal, bodies := play(t, []torture.Step{step("a"), second, third}, says(200, "{}"))
	want := []string{"send a", "send b", "answer a acked", "answer b acked", "send c", "answer c acked"}
	if diff := cmp.Diff(want, journal); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	if len(bodies) != 2 || !strings.HasPrefix(bodies[0], "/v1/batch ") || !strings.HasPrefix(bodies[1], "/v1/page ") {
		t.Errorf("calls %v", bodies)
	}
}

func TestWhoGivesUpDoesNotTryAgainAndWhoIsUnsureSendsTwice(t *testing.T) {
	t.Parallel()
	lazy, nervous := step("a"), step("b")
	lazy.GiveUp, nervous.Again = true, true
	journal, _ := play(t, []torture.Step{lazy, nervous}, says(500, ""), says(200, "{}"))
	want := []string{"send a", "answer a unknown", "send b", "answer b acked", "send b", "answer b acked"}
	if diff := cmp.Diff(want, journal); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

func TestALeaverUnsubscribesOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Method+" "+r.URL.Path+" "+string(raw))
	}))
	defer srv.Close()
	n := &notes{}
	l := load.New(load.Options{Journal: n, Now: time.Now, Patience: time.Second, Fail: func(err error) { t.Error(err) }})
	mail := sink.Mail{Touch: "lead-1-t2", Who: "p1", Unsubscribe: srv.URL + "/u/x"}
	l.Read(t.Context(), mail, torture.Nurtured)
	l.Read(t.Context(), mail, torture.Leaver)
	l.Read(t.Context(), mail, torture.Leaver)
	idle(t, l)
	if diff := cmp.Diff([]string{"POST /u/x List-Unsubscribe=One-Click"}, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"send unsubscribe-p1", "answer unsubscribe-p1 acked"}, n.all()); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

func TestSalesAnswersAHandoffOnceUnderOneRequestID(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ids := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			RequestID string `json:"request_id"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		mu.Lock()
		defer mu.Unlock()
		ids[body.RequestID]++
		if ids[body.RequestID] == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	l := load.New(load.Options{Journal: &notes{}, Handoff: srv.URL, Now: time.Now, Patience: 5 * time.Second, Fail: func(err error) { t.Error(err) }})
	ctx := context.Background()
	for _, lead := range []string{"a", "b", "c", "d", "e", "f"} {
		for range 2 {
			l.Sell(ctx, sink.Hook{ID: "d", Type: "assigned", Lead: lead})
		}
		l.Sell(ctx, sink.Hook{ID: "d", Type: "reminded", Lead: lead + "x"})
	}
	idle(t, l)
	if len(ids) < 2 || len(ids) > 6 {
		t.Errorf("answers %v", ids)
	}
	for id, n := range ids {
		if n != 2 || !strings.HasPrefix(id, "accept-") && !strings.HasPrefix(id, "reject-") {
			t.Errorf("%q came %d times, want it refused once and taken once", id, n)
		}
	}
}

// site answers every hit, and notes who made it.
func site(t *testing.T, told func(path string) string) (base string, got func() []string) {
	t.Helper()
	var mu sync.Mutex
	var calls []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, r.URL.Path)
		w.Header().Set("Nurture-Hit", told(r.URL.Path))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, func() []string { mu.Lock(); defer mu.Unlock(); return append([]string{}, calls...) }
}

func TestAHitIsSafeWhenTheAnswerSaysSoAndAGatewayGoesOnOnlyThen(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		told string
		want string
	}{
		"told": {"told", "send acked send acked send acked send acked"},
		"lost": {"lost", "send unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, got := site(t, func(string) string { return tt.told })
			n := &notes{}
			l := load.New(load.Options{Journal: n, Now: time.Now, Patience: time.Second, Fail: func(err error) { t.Error(err) }})
			touch := "" // one that a gateway looks at, with this seed
			for i := 0; touch == ""; i++ {
				name := fmt.Sprintf("lead-t%d", i)
				if roll := sink.Roll(0, "look "+name, 100); roll >= 70 && roll < 85 {
					touch = name
				}
			}
			m := sink.Mail{Touch: touch, Who: "p1", Picture: base + "/o", Trap: base + "/x", Links: []string{base + "/1", base + "/2"}}
			for range 2 { // who is sent the same mail twice looks at it once
				l.Read(t.Context(), m, torture.Nurtured)
			}
			idle(t, l)
			var said []string
			for _, line := range n.all() {
				words := strings.Fields(line)
				if words[0] == "answer" {
					said = append(said, words[2])
				} else {
					said = append(said, words[0])
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(said, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s\ncalls %v", diff, got())
			}
		})
	}
}

func TestAPairIsMergedWhenBothAreKnownAndSeparatedWhenThatWasForSure(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var calls []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(raw))
		mu.Lock()
		defer mu.Unlock()
		if id := form.Get("submission_id"); id != "" {
			_, _ = io.WriteString(w, `{"lead_id":"lead-`+id+`"}`)
			return
		}
		calls = append(calls, r.URL.Path+" "+string(raw))
	}))
	defer srv.Close()
	n := &notes{}
	l := load.New(load.Options{
		Journal: n, Ingest: srv.URL, Source: "website", Now: time.Now, Patience: time.Second, Merging: func() {}, Fail: func(err error) { t.Error(err) },
	})
	form := func(id string) *torture.Person {
		return &torture.Person{Key: id, Steps: []torture.Step{{ID: id, Kind: torture.Form, Type: torture.FormSubmitted}}}
	}
	a, b, silent := form("a"), form("b"), &torture.Person{Key: "c"}
	l.Play(t.Context(), []*torture.Person{a, b, silent}, []torture.Pair{
		{Into: a, From: b, Unmerge: true}, {Into: a, From: silent},
	})
	idle(t, l)
	want := []string{
		`/v1/leads/lead-a:merge {"by":"torture","from_lead_id":"lead-b"}`, `/v1/leads/lead-b:unmerge {"by":"torture"}`,
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
