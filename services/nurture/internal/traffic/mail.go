package traffic

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/nurturehq/nurture/services/nurture/internal/inbox"
	"github.com/nurturehq/nurture/services/nurture/internal/population"
)

const (
	browser = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	// proxy is how a mailbox provider's picture proxy introduces itself.
	proxy = "Mozilla/5.0"
	// scanner is how a link scanner of a gateway introduces itself.
	scanner = "LinkCheck/1.0"
)

// readMails lets everybody read their mails in the order of arrival.
func (t *Traffic) readMails(ctx context.Context) error {
	for {
		mails, err := t.opts.Inbox.Wait(ctx, t.mails.Load())
		if err != nil {
			return err
		}
		for _, m := range mails {
			if p := t.byEmail[m.To]; p != nil {
				r := population.Reaction{After: t.opts.React / 4}
				if confirmLink(m) == "" {
					r = p.React()
				}
				t.later(ctx, r.After, func() { t.react(ctx, p, m, r) })
			}
			t.mails.Store(m.ID)
		}
	}
}

func (t *Traffic) react(ctx context.Context, p *population.Person, m *inbox.Mail, r population.Reaction) {
	if link := confirmLink(m); link != "" {
		t.check(ctx, "confirm", p.N, t.confirm(ctx, link))
		return
	}
	if r.Scan {
		t.check(ctx, "scan", p.N, t.scan(ctx, m))
	}
	if r.Proxy {
		t.check(ctx, "proxy open", p.N, t.load(ctx, m, proxy))
	}
	if r.Open {
		t.check(ctx, "open", p.N, t.load(ctx, m, browser))
	}
	if r.Unsubscribe {
		t.check(ctx, "unsubscribe", p.N, inbox.Unsubscribe(ctx, t.site.client, m))
		return
	}
	if link := firstLink(m); r.Click && link != "" {
		t.check(ctx, "click", p.N, t.get(ctx, link, browser))
		t.walk(ctx, p, r.Then)
	}
}

// firstLink is the first one that a reader sees and that does not lead out of the
// list.
func firstLink(m *inbox.Mail) string {
	for _, link := range m.Links {
		if link != m.Unsubscribe && !strings.Contains(link, "unsubscribe") && !strings.Contains(link, "/preferences/") && !strings.Contains(link, "/t/x/") {
			return link
		}
	}
	return ""
}

// confirmLink is the link of a mail that asks for a confirmation; empty in others.
func confirmLink(m *inbox.Mail) string {
	for _, link := range m.Links {
		if strings.Contains(link, "/confirm/") {
			return link
		}
	}
	return ""
}

// confirm looks at the page and presses its button, as whoever asked for mails does.
func (t *Traffic) confirm(ctx context.Context, link string) error {
	if err := t.get(ctx, link, browser); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, link, strings.NewReader("do=confirm"))
	if err != nil {
		return fmt.Errorf("build confirmation: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", browser)
	return t.site.do(req)
}

// scan follows every link, also those that no reader sees, as the scanner of a
// mail gateway does.
func (t *Traffic) scan(ctx context.Context, m *inbox.Mail) error {
	for _, link := range m.Links {
		if err := t.get(ctx, link, scanner); err != nil {
			return err
		}
	}
	return nil
}

// load fetches the pictures, as opening the mail does.
func (t *Traffic) load(ctx context.Context, m *inbox.Mail, agent string) error {
	for _, image := range m.Images {
		if err := t.get(ctx, image, agent); err != nil {
			return err
		}
	}
	return nil
}

// get fetches an address and does not follow where it leads.
func (t *Traffic) get(ctx context.Context, address, agent string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("build request: %w", err)
	}
	req.Header.Set("User-Agent", agent)
	return t.site.do(req)
}
