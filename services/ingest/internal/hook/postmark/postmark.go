// Package postmark reads the webhooks of Postmark. Pure.
package postmark

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/nurturehq/nurture/pkg/returnpath"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/fate"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// paramToken is the query parameter of a webhook address that cannot have a
// user and a password.
const paramToken = "token"

// Dialect is kind postmark. Postmark signs nothing: a secret is the password, or
// "user:password", that the webhook's address or its Basic auth settings have.
type Dialect struct{}

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string { return fate.Options() }

// Verify compares the password or token of the call.
func (Dialect) Verify(req hook.Request, src *source.Source) error {
	told := credentials(req)
	if len(told) == 0 {
		return fmt.Errorf("%w: expected Basic authorization; set user and password in the webhook's settings in Postmark", hook.ErrUnsigned)
	}
	return hook.Try(src, "the password", func(secret string) bool {
		fits := false
		for _, t := range told {
			if hook.Same(secret, t) {
				fits = true
			}
		}
		return fits
	})
}

// credentials are all that the call offers: user:password, the password alone,
// a token.
func credentials(req hook.Request) []string {
	var told []string
	scheme, value, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Basic") {
		if raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value)); err == nil {
			told = append(told, string(raw))
			if _, password, ok := strings.Cut(string(raw), ":"); ok && password != "" {
				told = append(told, password)
			}
		}
	}
	if token := hook.Bearer(req); token != "" {
		told = append(told, token)
	}
	if token := req.Query.Get(paramToken); token != "" {
		told = append(told, token)
	}
	return told
}

// Read makes an item of the event.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	e, err := hook.ParseObject(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	return hook.Reading{Items: []hook.Item{item(e, src)}}, nil
}

func item(e hook.Tree, src *source.Source) hook.Item {
	record := e.Text("RecordType")
	n := fate.News{
		Touch: metadata(e, returnpath.TouchKey), Purpose: metadata(e, returnpath.PurposeKey),
		Recipient: cmp.Or(e.Text("Recipient"), e.Text("Email")), Agent: e.Text("UserAgent"), Address: e.Text("Geo.IP"),
	}
	at := cmp.Or(e.Text("DeliveredAt"), e.Text("BouncedAt"), e.Text("ChangedAt"), e.Text("ReceivedAt"))
	n.ID = record + "-" + cmp.Or(e.Text("ID"), fate.Digest(e.Text("MessageID"), n.Recipient, at, e.Text("OriginalLink")))
	switch record {
	case "Delivery":
		n.Kind, n.At = fate.Delivered, e.Time("DeliveredAt")
	case "Bounce":
		n.At = e.Time("BouncedAt")
		if why := bounced(&n, e.Text("Type")); why != "" {
			return fate.Ignored(n.ID, why)
		}
	case "SpamComplaint":
		n.Kind, n.At = fate.Complained, e.Time("BouncedAt")
	case "SubscriptionChange":
		n.At = e.Time("ChangedAt")
		if e.Text("SuppressSending") != "true" {
			return fate.Ignored(n.ID, fate.IgnoredReturn)
		}
		suppressed(&n, e.Text("SuppressionReason"))
	case "Open":
		n.Kind, n.At = fate.Opened, e.Time("ReceivedAt")
	case "Click":
		n.Kind, n.At, n.URL = fate.Clicked, e.Time("ReceivedAt"), e.Text("OriginalLink")
	case "Inbound":
		return fate.Ignored(n.ID, hook.IgnoredKind)
	default:
		return fate.Unknown(n.ID, "RecordType", record)
	}
	return n.Item(src)
}

// bounced sorts Postmark's types of bounces; it names why one is none.
func bounced(n *fate.News, kind string) string {
	n.Kind, n.Reason = fate.Bounced, fate.Word(kind)
	switch kind {
	case "HardBounce", "BadEmailAddress":
		n.Hard = true
	case "SpamComplaint":
		n.Kind = fate.Complained
	case "Unsubscribe":
		n.Kind = fate.Unsubscribed
	case "AutoResponder", "ChallengeVerification", "AddressChange", "OpenRelayTest":
		return fate.IgnoredAnswer
	case "Subscribe":
		return fate.IgnoredReturn
	}
	return "" // all others, also those to come, are bounces for now
}

// suppressed is an address that Postmark sends nothing to any more.
func suppressed(n *fate.News, why string) {
	n.Reason = fate.Word(why)
	switch why {
	case "HardBounce":
		n.Kind, n.Hard = fate.Bounced, true
	case "SpamComplaint":
		n.Kind = fate.Complained
	default: // ManualSuppression: the reader, or somebody for them
		n.Kind = fate.Unsubscribed
	}
}

// metadata gives what the mail's X-PM-Metadata headers told. The case of names
// in headers is not sure to survive.
func metadata(e hook.Tree, name string) string {
	if v := e.Text("Metadata." + name); v != "" {
		return v
	}
	for key, v := range e.At("Metadata").Object() {
		if strings.EqualFold(key, name) {
			return v.Text("")
		}
	}
	return ""
}
