package sink_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/sink"
)

// notes is a journal in memory.
type notes struct {
	mu    sync.Mutex
	lines []torture.Line
}

func (n *notes) Write(lines ...torture.Line) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, lines...)
	return nil
}

func (n *notes) ops() []torture.Op {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ops []torture.Op
	for _, l := range n.lines {
		ops = append(ops, l.Op)
	}
	return ops
}

const seed = 1

// touchThat finds a touch whose first mail meets a given trouble.
func touchThat(meets func(roll uint64) bool) string {
	for i := 0; ; i++ {
		if name := fmt.Sprintf("lead-t%d", i); meets(sink.Roll(seed, name, 100)) {
			return name
		}
	}
}

// post sends one mail over SMTP.
func post(addr, touch string) error {
	body := "Message-ID: <" + touch + "@x.example>\r\nList-Unsubscribe: <http://x.example/u/1>\r\n" +
		"Content-Type: multipart/alternative; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain\r\n\r\nhello http://x.example/t/c/text\r\n" +
		"--b\r\nContent-Type: text/html; charset=UTF-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		"<a href=3D\"http://x.example/t/c/1?a=3D1&amp;b\">a</a><a href=3D\"http://x.exa=\r\nmple/t/c/2\">b</a><a href=3D\"http://x.example/u/1\">c</a>" +
		"<a href=3D\"http://x.example/t/x/3\"></a><img src=3D\"http://x.example/t/o/4.gif\">\r\n--b--\r\n"
	return smtp.SendMail(addr, nil, "a@x.example", []string{"P1@torture.example"}, []byte(body))
}

func mailServer(t *testing.T, n *notes, before func(string)) (addr string, arrived *[]sink.Mail) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mails []sink.Mail
	m := sink.NewMailServer(sink.MailOptions{
		Journal: n, Now: time.Now, Seed: seed, Before: before, Arrived: func(m sink.Mail) { mails = append(mails, m) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String(), &mails
}

func TestAMailIsInTheJournalBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	n := &notes{}
	var before []torture.Op
	addr, mails := mailServer(t, n, func(string) { before = n.ops() })
	touch := touchThat(func(roll uint64) bool { return roll >= 10 })
	if err := post(addr, touch); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, []torture.Op{torture.OpMail}) {
		t.Errorf("when the sender could be killed, the journal had %v", before)
	}
	want := []sink.Mail{{
		Touch: touch, Who: "p1", Unsubscribe: "http://x.example/u/1", Picture: "http://x.example/t/o/4.gif", Trap: "http://x.example/t/x/3",
		Links: []string{"http://x.example/t/c/1?a=1&b", "http://x.example/t/c/2"},
	}}
	if diff := cmp.Diff(want, *mails); diff != "" {
		t.Errorf("arrived (-want +got):\n%s", diff)
	}
}

func TestAMailThatMeetsTroubleIsNoArrivalUnlessItIsKept(t *testing.T) {
	t.Parallel()
	n := &notes{}
	addr, _ := mailServer(t, n, func(string) {})
	busy := touchThat(func(roll uint64) bool { return roll < 5 })
	var reply *textproto.Error
	if err := post(addr, busy); !errors.As(err, &reply) || reply.Code != 451 {
		t.Errorf("first try: %v", err)
	}
	if err := post(addr, busy); err != nil {
		t.Errorf("second try: %v", err)
	}
	hangUp := touchThat(func(roll uint64) bool { return roll >= 7 && roll < 10 })
	if err := post(addr, hangUp); err == nil || errors.As(err, &reply) && reply.Code == 250 {
		t.Errorf("hang up: %v", err)
	}
	want := []torture.Op{torture.OpFault, torture.OpMail, torture.OpMail, torture.OpFault}
	if got := n.ops(); !slices.Equal(got, want) {
		t.Errorf("journal %v, want %v", got, want)
	}
}

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// hook posts a webhook; signed says whether as it should be.
func hook(t *testing.T, url, lead string, signed bool) int {
	t.Helper()
	body := fmt.Sprintf(`{"id":"d1","type":"com.nurture.handoff.assigned","subject":%q}`, lead)
	w, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	sig, err := w.Sign("d1", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if !signed {
		sig = "v1,bm90aGluZw=="
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	req.RequestURI = ""
	req.Header.Set("webhook-id", "d1")
	req.Header.Set("webhook-timestamp", fmt.Sprint(now.Unix()))
	req.Header.Set("webhook-signature", sig)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestAWebhookIsInTheJournalWithTheAnswerItGets(t *testing.T) {
	t.Parallel()
	n := &notes{}
	var arrived []sink.Hook
	crm, err := sink.NewCRM(sink.CRMOptions{Journal: n, Seed: seed, Secret: secret, Before: func() {}, Arrived: func(h sink.Hook) { arrived = append(arrived, h) }})
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- crm.Run(ctx, l) }()
	url := "http://" + l.Addr().String() + sink.WebhookPath
	broken := touchThat(func(roll uint64) bool { return roll < 15 })
	fine := touchThat(func(roll uint64) bool { return roll >= 35 })
	got := []int{hook(t, url, fine, false), hook(t, url, broken, true), hook(t, url, fine, true)}
	if want := []int{401, 500, 200}; !slices.Equal(got, want) {
		t.Errorf("answers %v, want %v", got, want)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(n.lines) != 2 || n.lines[0].Code != 500 || n.lines[1].Code != 200 || n.lines[1].Lead != fine {
		t.Errorf("journal %+v", n.lines)
	}
	if len(arrived) != 1 || arrived[0] != (sink.Hook{ID: "d1", Type: "assigned", Lead: fine}) {
		t.Errorf("arrived %+v", arrived)
	}
}
