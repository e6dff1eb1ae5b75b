// Package resend reads the webhooks of Resend, which are signed as Standard
// Webhooks under Svix's names. Pure.
package resend

import (
	"cmp"
	"strings"

	"github.com/nurturehq/nurture/pkg/returnpath"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/fate"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/standard"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Dialect is kind resend. The source's secrets are the webhook's signing
// secrets, "whsec_...".
type Dialect struct{}

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string { return fate.Options() }

// Verify checks the signature of Standard Webhooks.
func (Dialect) Verify(req hook.Request, src *source.Source) error { return standard.Verify(req, src) }

// Read makes an item of the event.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	e, err := hook.ParseObject(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	id := cmp.Or(req.Header.Get("Svix-Id"), req.Header.Get(standard.HeaderID))
	return hook.Reading{Items: []hook.Item{item(e, id, src)}}, nil
}

func item(e hook.Tree, id string, src *source.Source) hook.Item {
	data := e.At("data")
	n := fate.News{
		ID: id, At: e.Time("created_at"), MessageID: messageID(data),
		Touch: carried(data, returnpath.TouchKey, returnpath.Header), Purpose: carried(data, returnpath.PurposeKey, ""),
		Recipient: cmp.Or(data.Text("to.0"), data.Text("to")),
	}
	switch event := e.Text("type"); event {
	case "email.delivered":
		n.Kind = fate.Delivered
	case "email.delivery_delayed":
		n.Kind, n.Reason = fate.Deferred, "delivery_delayed"
	case "email.bounced":
		// Documented as sent for permanent rejections; the type, where there is
		// one, knows better.
		n.Kind, n.Reason = fate.Bounced, fate.Word(cmp.Or(data.Text("bounce.subType"), data.Text("bounce.type")))
		n.Hard = data.Text("bounce.type") == "" || strings.EqualFold(data.Text("bounce.type"), "Permanent")
	case "email.suppressed": // it bounced or complained earlier, and was not tried
		n.Kind, n.Hard, n.Reason = fate.Bounced, true, "suppressed"
	case "email.failed":
		n.Kind, n.Reason = fate.Bounced, cmp.Or(fate.Word(data.Text("failed.reason")), "failed")
	case "email.complained":
		n.Kind = fate.Complained
	case "email.opened":
		n.Kind, n.Agent, n.Address = fate.Opened, data.Text("open.userAgent"), data.Text("open.ipAddress")
	case "email.clicked":
		n.Kind, n.URL = fate.Clicked, data.Text("click.link")
		n.Agent, n.Address = data.Text("click.userAgent"), data.Text("click.ipAddress")
	case "email.sent", "email.scheduled":
		return fate.Ignored(id, fate.IgnoredStep)
	default:
		if !strings.HasPrefix(event, "email.") && event != "" {
			return fate.Ignored(id, hook.IgnoredKind) // contacts, domains
		}
		return fate.Unknown(id, "type", event)
	}
	return n.Item(src)
}

// carried gives a tag, or a header of the mail. Whether Resend tells the headers
// of mails that came over SMTP is not documented: without them the Message-ID or
// the recipient says whose mail it was, and the activity says that.
func carried(data hook.Tree, tag, header string) string {
	if v := data.Text("tags." + tag); v != "" {
		return v
	}
	for _, t := range data.At("tags").List() {
		if t.Text("name") == tag {
			return t.Text("value")
		}
	}
	return headerOf(data, header)
}

func messageID(data hook.Tree) string {
	return cmp.Or(headerOf(data, "Message-ID"), data.Text("message_id"))
}

func headerOf(data hook.Tree, name string) string {
	if name == "" {
		return ""
	}
	for _, h := range data.At("headers").List() {
		if strings.EqualFold(h.Text("name"), name) {
			return h.Text("value")
		}
	}
	return ""
}
