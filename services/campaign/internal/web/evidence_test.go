package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/campaign/internal/feed"
	"github.com/nurturehq/nurture/services/campaign/internal/link"
	"github.com/nurturehq/nurture/services/campaign/internal/web"
)

// from sends a request that came from an address, by our proxy.
func (d *desk) from(ip, method, path, agent string) *http.Response {
	req := httptest.NewRequest(method, path, nil)
	req.RemoteAddr = "10.0.0.1:1"
	req.Header.Set("X-Forwarded-For", ip)
	req.Header.Set("User-Agent", agent)
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, req)
	return w.Result() //nolint:bodyclose // a recorder's
}

func (d *desk) tokenOf(lead string, kind link.Kind, target string) string {
	return d.links.Sign(link.Token{Kind: kind, Lead: lead, Touch: lead + "-t1", Program: "welcome", Step: "hello", Target: target, Sent: now.Add(-time.Minute)})
}

func TestAHitCarriesWhatWasSeenAndNotWhoItWas(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.from("198.51.100.77", http.MethodGet, "/t/c/"+d.tokenOf("lead-1", link.Click, "https://acme.example/a"), "Mozilla/5.0 (X11)")
	d.from("2001:db8:1:2::3", http.MethodHead, "/t/c/"+d.tokenOf("lead-1", link.Click, "https://acme.example/b"), strings.Repeat("x", 1000))
	d.from("198.51.100.77", http.MethodGet, "/t/o/"+d.tokenOf("lead-1", link.Open, "")+".gif", "")
	trapped := d.from("198.51.100.77", http.MethodGet, "/t/x/"+d.tokenOf("lead-1", link.Trap, ""), "curl/8")
	if trapped.StatusCode != http.StatusOK || trapped.Header.Get("Location") != "" {
		t.Errorf("the trap leads to %d %s", trapped.StatusCode, trapped.Header.Get("Location"))
	}
	click, head, open, trap := d.told[0].Hit, d.told[1].Hit, d.told[2].Hit, d.told[3].Hit
	if click.GetNetwork() != "198.51.100.0/24" || click.GetAgent() != "Mozilla/5.0 (X11)" || click.GetHead() || click.GetCrowd() != 1 ||
		!click.GetSentAt().AsTime().Equal(now.Add(-time.Minute)) || click.GetLink() == "" {
		t.Errorf("click: %v", click)
	}
	if head.GetNetwork() != "2001:db8:1::/48" || !head.GetHead() || len(head.GetAgent()) != 256 || head.GetLink() == click.GetLink() {
		t.Errorf("HEAD: %v", head)
	}
	if open.GetAgent() != "" || open.GetLink() != "" || open.GetCrowd() != 0 || d.told[2].Type != feed.Opened {
		t.Errorf("open: %v", open)
	}
	if !trap.GetTrap() || d.told[3].Type != feed.Clicked || trap.GetLink() == click.GetLink() {
		t.Errorf("trap: %v", trap)
	}
	for _, one := range d.told {
		if strings.Contains(fmt.Sprint(one), "198.51.100.77") {
			t.Errorf("the address is told: %v", one)
		}
	}
}

func TestOneAddressThatFollowsTheLinksOfManyLeadsIsSeen(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i := range 6 {
		path := "/t/c/" + d.tokenOf(fmt.Sprint("lead-", i), link.Click, "https://acme.example")
		d.from("198.51.100.7", http.MethodGet, path, "Mozilla/5.0 (X11)")
		d.from("198.51.100.7", http.MethodGet, path, "Mozilla/5.0 (X11)")
		d.from("198.51.100.8", http.MethodGet, "/t/c/"+d.tokenOf("lead-1", link.Click, "https://acme.example"), "Mozilla/5.0 (X11)")
	}
	last := d.told[len(d.told)-3:]
	if last[0].Hit.GetCrowd() != 6 || last[1].Hit.GetCrowd() != 6 || last[2].Hit.GetCrowd() != 1 {
		t.Errorf("counted %d, %d and %d leads", last[0].Hit.GetCrowd(), last[1].Hit.GetCrowd(), last[2].Hit.GetCrowd())
	}
	d.clock = now.Add(11 * time.Second)
	d.from("198.51.100.7", http.MethodGet, "/t/c/"+d.tokenOf("lead-1", link.Click, "https://acme.example"), "Mozilla/5.0 (X11)")
	if got := d.told[len(d.told)-1].Hit.GetCrowd(); got != 1 {
		t.Errorf("seconds later it still counts %d leads", got)
	}
}

func TestWhoIsOnThisMachineHasNoNetworkAndIsNoCrowd(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i := range 20 {
		d.ask(t, http.MethodGet, "/t/c/"+d.tokenOf(fmt.Sprint("lead-", i), link.Click, "https://acme.example"), "")
	}
	for _, one := range d.told {
		if one.Hit.GetNetwork() != "" || one.Hit.GetCrowd() != 0 {
			t.Fatalf("%v", one.Hit)
		}
	}
}

func deskDeps(d *desk, deps web.Deps) web.Deps {
	deps.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	deps.Now = func() time.Time {
		if d.clock.IsZero() {
			return now
		}
		return d.clock
	}
	return deps
}
