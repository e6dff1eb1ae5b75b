package inbox

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
)

const sample = "From: Nurture <hello@nurture.example>\r\n" +
	"To: ann@acme.example\r\n" +
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n" +
	"Message-ID: <t1@nurture.example>\r\n" +
	"X-Nurture-Touch: t1\r\n" +
	"List-Unsubscribe: <mailto:u@nurture.example>, <UNSUB>\r\n" +
	"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" +
	"MIME-Version: 1.0\r\n" +
	"Content-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello Ann\r\n" +
	"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
	"<p>Hello <a href=3D\"http://go.example/c/1\">Ann</a></p><a href=3D\"javascript:alert(1)\">x</a>" +
	"<a href=3D\"http://go.example/c/1\">again</a><script>alert(1)</script><img src=3D\"http://go.example/o.gif\">\r\n--b--\r\n"

func start(t *testing.T, refuse func(string) bool) (box *Inbox, smtpAddr, web string) {
	t.Helper()
	mails, pages := listen(t), listen(t)
	box, err := New(Options{SMTP: mails, HTTP: pages, Log: slog.New(slog.DiscardHandler), Refuse: refuse, Capacity: 3})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- box.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("inbox ended with %v", err)
		}
	})
	return box, mails.Addr().String(), "http://" + pages.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func send(t *testing.T, addr, to, raw string) error {
	t.Helper()
	c, err := smtp.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.SendMail("hello@nurture.example", []string{to}, strings.NewReader(raw))
}

func get(t *testing.T, url string) (string, http.Header) {
	t.Helper()
	resp, err := http.Get(url) //nolint:noctx // a test against loopback
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), resp.Header
}

func TestAMailIsShownAsTheLeadWouldSeeIt(t *testing.T) {
	box, addr, web := start(t, nil)
	if err := send(t, addr, "Ann@acme.example", sample); err != nil {
		t.Fatal(err)
	}
	mails, err := box.Wait(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	m := mails[0]
	got := []any{m.To, m.From, m.Subject, m.MessageID, m.Unsubscribe, m.OneClick, m.Text, m.Links, m.Images}
	want := []any{
		"ann@acme.example", "Nurture", "Grüße", "t1@nurture.example", "", true, "Hello Ann",
		[]string{"http://go.example/c/1"},
		[]string{"http://go.example/o.gif"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	list, _ := get(t, web+"/?to=acme")
	if !strings.Contains(list, "Grüße") {
		t.Error("the list does not show the mail")
	}
	if list, _ = get(t, web+"/?to=nobody"); strings.Contains(list, "Grüße") {
		t.Error("the filter does not filter")
	}
	if page, _ := get(t, web+"/mails/1"); !strings.Contains(page, "Hello Ann") || !strings.Contains(page, "X-Nurture-Touch") {
		t.Errorf("the mail's page lacks its text or headers:\n%s", page)
	}
}

func TestAMailsHTMLCannotRunScriptsOrReachThePage(t *testing.T) {
	_, addr, web := start(t, nil)
	if err := send(t, addr, "ann@acme.example", sample); err != nil {
		t.Fatal(err)
	}
	body, header := get(t, web+"/mails/1/html")
	policy := header.Get("Content-Security-Policy")
	if !strings.Contains(body, "<script>") {
		t.Fatal("the test's mail lost its script: nothing was proved")
	}
	if !strings.HasPrefix(policy, "sandbox ") || strings.Contains(policy, "allow-scripts") ||
		strings.Contains(policy, "allow-same-origin") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy of the mail's frame is %q", policy)
	}
}

func TestTheUnsubscribeButtonPostsOneClick(t *testing.T) {
	posts := make(chan string, 1)
	sender := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- r.Method + " " + string(body)
	}))
	defer sender.Close()
	_, addr, web := start(t, nil)
	if err := send(t, addr, "ann@acme.example", strings.Replace(sample, "UNSUB", sender.URL+"/u/1", 1)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(web+"/mails/1/unsubscribe", "application/x-www-form-urlencoded", nil) //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := <-posts; got != "POST List-Unsubscribe=One-Click" {
		t.Errorf("the sender got %q", got)
	}
}

func TestAMailboxThatDoesNotExistBounces(t *testing.T) {
	box, addr, _ := start(t, func(to string) bool { return strings.HasPrefix(to, "gone@") })
	err := send(t, addr, "Gone@acme.example", sample)
	var refused *smtp.SMTPError
	if !errors.As(err, &refused) || refused.Code != 550 || refused.Temporary() {
		t.Fatalf("want a permanent 550, got %v", err)
	}
	if got := box.Counts(); got != (Counts{Bounced: 1}) {
		t.Errorf("counts are %+v", got)
	}
}

func TestASecondMailOfOneTouchIsCountedAsADouble(t *testing.T) {
	box, addr, _ := start(t, nil)
	for range 2 {
		if err := send(t, addr, "ann@acme.example", sample); err != nil {
			t.Fatal(err)
		}
	}
	other := strings.Replace(sample, "Touch: t1", "Touch: t2", 1)
	if err := send(t, addr, "ann@acme.example", other); err != nil {
		t.Fatal(err)
	}
	if got := box.Counts(); got != (Counts{Received: 3, Doubles: 1}) {
		t.Errorf("counts are %+v", got)
	}
}

func TestTheOldestMailsGoFirst(t *testing.T) {
	s := newStore(3)
	for range 5 {
		s.add(&Mail{})
	}
	if _, ok := s.get(2); ok {
		t.Error("a mail beyond the capacity is still there")
	}
	for after, want := range map[uint64]int{0: 3, 2: 3, 3: 2, 5: 0, 9: 0} {
		if mails, _ := s.after(after); len(mails) != want {
			t.Errorf("after %d there are %d mails, want %d", after, len(mails), want)
		}
	}
}

func TestWaitingForAMailEndsWithItsContext(t *testing.T) {
	b := &Inbox{store: newStore(1)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := b.Wait(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestTheInboxShowsNothingToAPageWhoseNameWasPointedHere(t *testing.T) {
	posts := make(chan string, 1)
	sender := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { posts <- r.URL.Path }))
	defer sender.Close()
	_, addr, web := start(t, nil)
	if err := send(t, addr, "ann@acme.example", strings.Replace(sample, "UNSUB", sender.URL+"/u/1", 1)); err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, host string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, web+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			req.Host = host
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for _, c := range []struct{ method, path string }{
		{http.MethodGet, "/"}, {http.MethodGet, "/mails/1"}, {http.MethodGet, "/mails/1/html"}, {http.MethodPost, "/mails/1/unsubscribe"},
	} {
		for _, host := range []string{"evil.example", "evil.example:8025", "127.0.0.1.evil.example"} {
			status, body := ask(c.method, c.path, host)
			if status != http.StatusMisdirectedRequest || strings.Contains(body, "Ann") || strings.Contains(body, "acme") {
				t.Errorf("%s %s for %s is answered %d: %s", c.method, c.path, host, status, body)
			}
		}
	}
	if len(posts) != 0 {
		t.Error("a page from elsewhere unsubscribed somebody")
	}
	if status, body := ask(http.MethodGet, "/mails/1", ""); status != http.StatusOK || !strings.Contains(body, "Hello Ann") {
		t.Errorf("whoever sits here is answered %d", status)
	}
}
