// Package mailgun reads the webhooks of Mailgun. Pure, but for the tokens it
// remembers.
package mailgun

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/nurturehq/nurture/pkg/returnpath"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/fate"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// oldest is how long ago a call may have been signed: Mailgun repeats one for
// eight hours, and its documents do not say whether it signs each attempt anew.
const oldest = 9 * time.Hour

// Dialect is kind mailgun. The source's secrets are HTTP webhook signing keys.
type Dialect struct{ seen *tokens }

// New makes a dialect that remembers the tokens it saw.
func New() Dialect { return Dialect{seen: newTokens()} }

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string { return fate.Options() }

// Verify checks the signature in the body. It covers a time and a token, not
// what the body tells; so a token is good for one body, whatever it is.
func (d Dialect) Verify(req hook.Request, src *source.Source) error {
	body, err := hook.ParseObject(req.Body)
	if err != nil {
		return fmt.Errorf("%w: %w", hook.ErrUnsigned, err)
	}
	err = d.check(req, src, body.At("signature"))
	if err != nil && body.Known("parent-signature") { // of a subaccount's mail
		err = d.check(req, src, body.At("parent-signature"))
	}
	return err
}

func (d Dialect) check(req hook.Request, src *source.Source, sig hook.Tree) error {
	at, token := sig.Text("timestamp"), sig.Text("token")
	if at == "" || token == "" || sig.Text("signature") == "" {
		return fmt.Errorf("%w: expected signature.timestamp, signature.token and signature.signature in the body", hook.ErrUnsigned)
	}
	if err := hook.CheckHMAC(src, "signature.signature", sig.Text("signature"), hook.Hex, []byte(at), []byte(token)); err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: signature.timestamp is not in seconds since 1970", hook.ErrForged)
	}
	signed := time.Unix(seconds, 0)
	if req.Received.Sub(signed) > oldest || signed.Sub(req.Received) > hook.Tolerance {
		return fmt.Errorf("%w: it was signed at %s, at most %s are accepted", hook.ErrStale, signed.UTC().Format(time.RFC3339), oldest)
	}
	if !d.seen.once(src.Name+"\x00"+token, req.Body) {
		return fmt.Errorf("%w: signature.token was used for another body", hook.ErrForged)
	}
	return nil
}

// Read makes an item of the event.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	body, err := hook.ParseObject(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	e := body.At("event-data")
	if e.Object() == nil {
		return hook.Reading{}, fmt.Errorf("expected event-data, an object; the older webhooks of Mailgun are not read")
	}
	return hook.Reading{Items: []hook.Item{item(e, src)}}, nil
}

func item(e hook.Tree, src *source.Source) hook.Item {
	n := fate.News{
		ID: cmp.Or(e.Text("id"), fate.Digest(e.JSON())), Recipient: e.Text("recipient"), At: moment(e.Text("timestamp")),
		Touch: e.Text("user-variables." + returnpath.TouchKey), Purpose: e.Text("user-variables." + returnpath.PurposeKey),
		MessageID: e.Text("message.headers.message-id"), Machine: e.Text("client-info.bot") != "",
		Agent: e.Text("client-info.user-agent"), Address: e.Text("ip"),
	}
	switch event := e.Text("event"); event {
	case "delivered":
		n.Kind = fate.Delivered
	case "failed":
		failed(&n, e)
	case "rejected": // by Mailgun itself, before it tried
		n.Kind, n.Reason = fate.Bounced, "rejected"
	case "complained":
		n.Kind = fate.Complained
	case "unsubscribed":
		n.Kind = fate.Unsubscribed
	case "opened":
		n.Kind = fate.Opened
	case "clicked":
		n.Kind, n.URL = fate.Clicked, e.Text("url")
	case "accepted", "stored":
		return fate.Ignored(n.ID, fate.IgnoredStep)
	default:
		return fate.Unknown(n.ID, "event-data.event", event)
	}
	return n.Item(src)
}

// failed sorts failures. A temporary one is tried again by Mailgun itself; a
// permanent one is about the address only when it says so.
func failed(n *fate.News, e hook.Tree) {
	why := e.Text("reason")
	n.Kind = fate.Bounced
	n.Reason = cmp.Or(fate.Word(e.Text("delivery-status.enhanced-code")), fate.Word(why), fate.Word(e.Text("delivery-status.code")))
	switch {
	case e.Text("severity") == "temporary":
		n.Kind = fate.Deferred
	case why == "suppress-complaint":
		n.Kind = fate.Complained
	case why == "suppress-unsubscribe":
		n.Kind = fate.Unsubscribed
	case e.Text("delivery-status.bounce-type") == "soft":
	case why == "bounce", why == "suppress-bounce", e.Text("delivery-status.bounce-type") == "hard":
		n.Hard = true
	}
}

// moment reads seconds since 1970 with a fraction.
func moment(text string) time.Time {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || s < 1 || s > 1e11 {
		return time.Time{}
	}
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(part*1e9)).UTC()
}
