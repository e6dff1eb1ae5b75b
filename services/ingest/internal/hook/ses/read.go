package ses

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/nurturehq/nurture/pkg/returnpath"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/fate"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Types of SNS messages.
const (
	typeNotification = "Notification"
	typeSubscribe    = "SubscriptionConfirmation"
	typeUnsubscribe  = "UnsubscribeConfirmation"
)

// ignoredConfirmed: the subscription was confirmed; SNS sends from now on.
const ignoredConfirmed = "subscription_confirmed"

// Read makes an item of each recipient of the event, or confirms the
// subscription.
func (d Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	m, err := hook.ParseObject(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	id := m.Text("MessageId")
	one := func(i hook.Item) (hook.Reading, error) { return hook.Reading{Items: []hook.Item{i}}, nil }
	switch kind := m.Text("Type"); kind {
	case typeSubscribe:
		if err := d.confirm(m.Text("SubscribeURL")); err != nil {
			return hook.Reading{}, err
		}
		return one(fate.Ignored(id, ignoredConfirmed))
	case typeUnsubscribe:
		return one(hook.Item{ID: id, Faults: hook.Fault("Type", "is UnsubscribeConfirmation: the topic sends nothing here any more; subscribe it again if that was not meant")})
	case typeNotification:
	default:
		return one(fate.Unknown(id, "Type", kind))
	}
	e, err := hook.ParseObject([]byte(m.Text("Message")))
	if err != nil { // SES says in plain words that it may publish to the topic
		return one(fate.Ignored(id, hook.IgnoredTest))
	}
	return hook.Reading{Items: items(e, id, src)}, nil
}

// confirm visits the address that SNS wants visited. It is signed, and still
// only Amazon's hosts are visited. When that fails SNS asks again.
func (d Dialect) confirm(address string) error {
	if err := Pinned(address); err != nil {
		return fmt.Errorf("SubscribeURL: %w", err)
	}
	if err := d.amazon.Confirm(address); err != nil {
		return fmt.Errorf("%w: confirm the subscription: %w", hook.ErrUnavailable, err)
	}
	return nil
}

func items(e hook.Tree, id string, src *source.Source) []hook.Item {
	kind := cmp.Or(e.Text("eventType"), e.Text("notificationType"))
	base := fate.News{
		Touch: carried(e, returnpath.TouchKey, returnpath.Header), Purpose: carried(e, returnpath.PurposeKey, ""),
		MessageID: cmp.Or(headerOf(e, "Message-ID"), e.Text("mail.commonHeaders.messageId")),
		At:        e.Time("mail.timestamp"),
	}
	var people []hook.Tree
	switch kind {
	case "Bounce":
		people = e.At("bounce.bouncedRecipients").List()
		bounced(&base, e.At("bounce"))
	case "Complaint":
		people = e.At("complaint.complainedRecipients").List()
		if e.Text("complaint.complaintFeedbackType") == "not-spam" {
			return []hook.Item{fate.Ignored(id, fate.IgnoredGood)}
		}
		base.Kind, base.At = fate.Complained, e.Time("complaint.timestamp")
		base.Reason = fate.Word(cmp.Or(e.Text("complaint.complaintFeedbackType"), e.Text("complaint.complaintSubType")))
	case "Delivery":
		people = e.At("delivery.recipients").List()
		base.Kind, base.At = fate.Delivered, e.Time("delivery.timestamp")
	case "DeliveryDelay":
		people = e.At("deliveryDelay.delayedRecipients").List()
		base.Kind, base.At, base.Reason = fate.Deferred, e.Time("deliveryDelay.timestamp"), fate.Word(e.Text("deliveryDelay.delayType"))
	case "Reject", "Rendering Failure":
		base.Kind, base.Reason = fate.Bounced, "rejected_by_ses"
	case "Subscription":
		base.Kind, base.At = fate.Unsubscribed, e.Time("subscription.timestamp")
		if e.Text("subscription.newTopicPreferences.unsubscribeAll") != "true" {
			return []hook.Item{fate.Ignored(id, fate.IgnoredReturn)}
		}
	case "Open":
		base.Kind, base.At = fate.Opened, e.Time("open.timestamp")
		base.Agent, base.Address = e.Text("open.userAgent"), e.Text("open.ipAddress")
	case "Click":
		base.Kind, base.At, base.URL = fate.Clicked, e.Time("click.timestamp"), e.Text("click.link")
		base.Agent, base.Address = e.Text("click.userAgent"), e.Text("click.ipAddress")
	case "Send":
		return []hook.Item{fate.Ignored(id, fate.IgnoredStep)}
	default:
		return []hook.Item{fate.Unknown(id, "eventType", kind)}
	}
	if len(people) == 0 {
		people = e.At("mail.destination").List()
	}
	return each(base, id, people, src)
}

// each makes an item of each recipient. Mails of ours have one: should there be
// more, only the first is the touch's.
func each(base fate.News, id string, people []hook.Tree, src *source.Source) []hook.Item {
	if len(people) == 0 {
		people = make([]hook.Tree, 1)
	}
	out := make([]hook.Item, len(people))
	for i, p := range people {
		n := base
		n.ID, n.Recipient = id, cmp.Or(p.Text("emailAddress"), p.Text(""))
		if i > 0 {
			n.ID, n.Touch, n.MessageID = id+"/"+strconv.Itoa(i), "", ""
		}
		if n.Kind == fate.Bounced {
			n.Reason = cmp.Or(fate.Word(p.Text("status")), n.Reason)
		}
		out[i] = n.Item(src)
	}
	return out
}

func bounced(n *fate.News, b hook.Tree) {
	n.Kind, n.At = fate.Bounced, b.Time("timestamp")
	n.Hard = b.Text("bounceType") == "Permanent"
	if b.Text("bounceSubType") == "UnsubscribedRecipient" {
		n.Kind, n.Hard = fate.Unsubscribed, false
	}
	n.Reason = fate.Word(b.Text("bounceType") + "_" + b.Text("bounceSubType"))
}

// carried gives a message tag, or else a header of the mail: SES tells the tags
// with published events, the headers with notifications if they are turned on.
func carried(e hook.Tree, tag, header string) string {
	if v := e.Text("mail.tags." + tag + ".0"); v != "" {
		return v
	}
	return headerOf(e, header)
}

func headerOf(e hook.Tree, name string) string {
	if name == "" {
		return ""
	}
	for _, h := range e.At("mail.headers").List() {
		if strings.EqualFold(h.Text("name"), name) {
			return h.Text("value")
		}
	}
	return ""
}
