package traffic

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/nurturehq/nurture/services/nurture/internal/crmdesk"
	"github.com/nurturehq/nurture/services/nurture/internal/inbox"
	"github.com/nurturehq/nurture/services/nurture/internal/population"
)

// world stands for the services: it keeps what was asked and answers as told.
type world struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string
	answer func(path string, nth int) int // status of the nth request of a path, from 1
}

func newWorld(t *testing.T) *world {
	w := &world{answer: func(string, int) int { return http.StatusOK }}
	count := map[string]int{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		defer w.mu.Unlock()
		count[r.URL.Path]++
		w.asked = append(w.asked, r.Method+" "+r.URL.Path+" "+string(body))
		rw.WriteHeader(w.answer(r.URL.Path, count[r.URL.Path]))
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *world) saw(prefix string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(w.asked), func(s string) bool { return !strings.HasPrefix(s, prefix) }))
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// play runs the people against the world until the test ends.
func play(t *testing.T, w *world, people []*population.Person, visits bool) (crowd *Traffic, smtpAddr string) {
	t.Helper()
	mails, log := listen(t), slog.New(slog.DiscardHandler)
	box, err := inbox.New(inbox.Options{SMTP: mails, HTTP: listen(t), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	desk, err := crmdesk.New(crmdesk.Options{HTTP: listen(t), Secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	crowd = New(Options{
		People: people, Visits: visits, Ingest: w.URL, Source: ExampleSource, WriteKey: ExampleKey,
		Inbox: box, Desk: desk, Seed: 1, React: time.Millisecond, Log: log,
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{box.Run, desk.Run, crowd.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("ended with %v", err)
			}
		})
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	return crowd, mails.Addr().String()
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

func people(n int) []*population.Person {
	return population.New(population.Options{Leads: n, Seed: 1, Over: 10 * time.Millisecond, React: time.Millisecond})
}

func TestEverybodyArrivesAndAFifthAsksForADemo(t *testing.T) {
	w := newWorld(t)
	crowd, _ := play(t, w, people(50), true)
	until(t, "everybody has visited", func() bool { return !crowd.Visiting() })
	demos := 0
	for _, asked := range w.asked {
		if strings.HasPrefix(asked, "POST /v1/forms/website ") && strings.Contains(asked, "form=ask_demo") {
			demos++
		}
	}
	if forms := w.saw("POST /v1/forms/website"); forms != 50 || demos != 10 || w.saw("POST /v1/page") < 50 {
		t.Errorf("%d forms, %d of them for a demo, %d page views", forms, demos, w.saw("POST /v1/page"))
	}
	if crowd.Refused() != 0 {
		t.Errorf("%d acts were refused", crowd.Refused())
	}
}

func TestWhoAsksForPatienceIsAskedAgainAndWhoRefusesIsNot(t *testing.T) {
	w := newWorld(t)
	w.answer = func(path string, nth int) int {
		switch {
		case path == "/v1/page" && nth == 1:
			return http.StatusServiceUnavailable
		case path == "/v1/forms/website":
			return http.StatusUnprocessableEntity
		}
		return http.StatusOK
	}
	p := people(1)
	p[0].Visit = []population.Step{{Kind: population.ViewPage, Path: "/"}, {Kind: population.Subscribe, Path: "/newsletter"}}
	crowd, _ := play(t, w, p, true)
	until(t, "the visit is over", func() bool { return !crowd.Visiting() })
	if w.saw("POST /v1/page") != 2 || w.asked[0] != w.asked[1] {
		t.Errorf("the page view was not sent again as it was: %q", w.asked)
	}
	if w.saw("POST /v1/forms") != 1 || crowd.Refused() != 1 {
		t.Errorf("the refused form was sent %d times and counted %d times", w.saw("POST /v1/forms"), crowd.Refused())
	}
}

// reacting finds somebody whose first mail makes them do what is wanted.
func reacting(t *testing.T, want func(population.Reaction) bool) *population.Person {
	t.Helper()
	probe := people(5000)
	for i, p := range probe {
		if want(p.React()) {
			return people(5000)[i]
		}
	}
	t.Fatal("nobody reacts that way")
	return nil
}

func mailTo(t *testing.T, addr, to, base string) {
	t.Helper()
	c, err := smtp.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw := fmt.Sprintf("To: %s\r\nMessage-ID: <1@x.example>\r\nList-Unsubscribe: <%s/out>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"+
		"Content-Type: text/html\r\n\r\n<a href=\"%s/out\">leave</a><a href=\"%s/click\">read</a><img src=\"%s/seen\">", to, base, base, base, base)
	if err := c.SendMail("a@x.example", []string{to}, strings.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
}

func TestAPersonWhoClicksOpensTheMailAndFollowsItsFirstRealLink(t *testing.T) {
	w := newWorld(t)
	p := reacting(t, func(r population.Reaction) bool { return r.Click && !r.Scan && !r.Unsubscribe })
	crowd, addr := play(t, w, []*population.Person{p}, false)
	mailTo(t, addr, p.Profile.Email, w.URL)
	until(t, "the link was clicked", func() bool { return w.saw("GET /click") == 1 })
	until(t, "the person is done", func() bool { return !crowd.Busy() })
	if w.saw("GET /seen") == 0 || w.saw("GET /out")+w.saw("POST /out") != 0 || w.saw("POST /v1/page") == 0 {
		t.Errorf("asked %q", w.asked)
	}
}

func TestAPersonWhoLeavesPressesOneClickAndNothingElse(t *testing.T) {
	w := newWorld(t)
	p := reacting(t, func(r population.Reaction) bool { return r.Unsubscribe && !r.Scan })
	crowd, addr := play(t, w, []*population.Person{p}, false)
	mailTo(t, addr, p.Profile.Email, w.URL)
	until(t, "the person has left", func() bool { return w.saw("POST /out List-Unsubscribe=One-Click") == 1 })
	until(t, "the person is done", func() bool { return !crowd.Busy() })
	if w.saw("GET /click") != 0 {
		t.Errorf("asked %q", w.asked)
	}
}

func TestAScannerLooksAtTheWayOutWithoutTakingIt(t *testing.T) {
	w := newWorld(t)
	p := reacting(t, func(r population.Reaction) bool { return r.Scan && !r.Unsubscribe })
	crowd, addr := play(t, w, []*population.Person{p}, false)
	mailTo(t, addr, p.Profile.Email, w.URL)
	until(t, "the scanner came", func() bool { return w.saw("GET /out") == 1 })
	until(t, "the person is done", func() bool { return !crowd.Busy() })
	if w.saw("POST /out") != 0 {
		t.Errorf("asked %q", w.asked)
	}
}
