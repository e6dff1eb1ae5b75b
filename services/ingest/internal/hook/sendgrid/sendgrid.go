// Package sendgrid reads the Event Webhook of Twilio SendGrid. Pure.
package sendgrid

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/returnpath"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/fate"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Headers of a signed call.
const (
	HeaderSignature = "X-Twilio-Email-Event-Webhook-Signature"
	HeaderTime      = "X-Twilio-Email-Event-Webhook-Timestamp"
)

// oldest is how long ago a call may have been signed. SendGrid repeats a call
// for a day, and its documents do not say whether it signs each attempt anew. A
// replay within that time changes nothing: each event counts once.
const oldest = 25 * time.Hour

// Dialect is kind sendgrid. The source's secrets are the verification keys that
// SendGrid shows: base64 of the public key.
type Dialect struct{}

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string { return fate.Options() }

// Verify checks the ECDSA signature over time and body.
func (Dialect) Verify(req hook.Request, src *source.Source) error {
	text, at := req.Header.Get(HeaderSignature), req.Header.Get(HeaderTime)
	if text == "" || at == "" {
		return fmt.Errorf("%w: expected %s and %s; turn on Signed Event Webhook Requests in SendGrid", hook.ErrUnsigned, HeaderSignature, HeaderTime)
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %s is not in seconds since 1970", hook.ErrForged, HeaderTime)
	}
	sig, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("%w: %s is not base64", hook.ErrForged, HeaderSignature)
	}
	sum := sha256.Sum256(append([]byte(at), req.Body...))
	if err := hook.Try(src, HeaderSignature, func(secret string) bool {
		key, err := PublicKey(secret)
		return err == nil && ecdsa.VerifyASN1(key, sum[:], sig)
	}); err != nil {
		return err
	}
	signed := time.Unix(seconds, 0)
	if req.Received.Sub(signed) > oldest || signed.Sub(req.Received) > hook.Tolerance {
		return fmt.Errorf("%w: it was signed at %s, at most %s are accepted", hook.ErrStale, signed.UTC().Format(time.RFC3339), oldest)
	}
	return nil
}

// errKey: the secret is no key that SendGrid signs with.
var errKey = errors.New("expected SendGrid's verification key: base64 of an ECDSA public key")

// PublicKey reads a verification key, with or without the lines of PEM.
func PublicKey(secret string) (*ecdsa.PublicKey, error) {
	var b strings.Builder
	for line := range strings.Lines(secret) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
			b.WriteString(line)
		}
	}
	der, err := base64.StdEncoding.DecodeString(b.String())
	if err != nil {
		return nil, errKey
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errKey
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, errKey
	}
	return key, nil
}

// Read makes an item of each event.
func (Dialect) Read(req hook.Request, src *source.Source) (hook.Reading, error) {
	body, err := hook.Parse(req.Body)
	if err != nil {
		return hook.Reading{}, err
	}
	if !body.IsList() {
		return hook.Reading{}, errors.New("expected a list of events")
	}
	var out hook.Reading
	for _, e := range body.List() {
		out.Items = append(out.Items, item(e, src))
	}
	return out, nil
}

func item(e hook.Tree, src *source.Source) hook.Item {
	id := e.Text("sg_event_id")
	n := fate.News{
		ID: id, MessageID: e.Text("smtp-id"), Recipient: e.Text("email"), At: e.Time("timestamp"),
		Touch: carried(e, returnpath.TouchKey), Purpose: carried(e, returnpath.PurposeKey),
		Agent: e.Text("useragent"), Address: e.Text("ip"),
	}
	if id == "" { // documented as always there; without it a repeat would count twice
		n.ID = fate.Digest(e.JSON())
	}
	switch event := e.Text("event"); event {
	case "delivered":
		n.Kind = fate.Delivered
	case "deferred":
		n.Kind, n.Reason = fate.Deferred, status(e)
	case "bounce":
		n.Kind, n.Reason = fate.Bounced, status(e)
		n.Hard = e.Text("type") != "blocked"
	case "dropped":
		dropped(&n, strings.ToLower(e.Text("reason")))
	case "spamreport":
		n.Kind = fate.Complained
	case "unsubscribe", "group_unsubscribe":
		n.Kind, n.Reason = fate.Unsubscribed, event
	case "open":
		n.Kind, n.Machine = fate.Opened, e.Text("sg_machine_open") == "true"
	case "click":
		n.Kind, n.URL = fate.Clicked, e.Text("url")
	case "processed":
		return fate.Ignored(n.ID, fate.IgnoredStep)
	case "group_resubscribe":
		return fate.Ignored(n.ID, fate.IgnoredReturn)
	default:
		return fate.Unknown(n.ID, "event", event)
	}
	return n.Item(src)
}

// dropped is a mail that SendGrid did not try to send: mostly it remembers why
// an earlier one came back.
func dropped(n *fate.News, why string) {
	n.Kind, n.Reason = fate.Bounced, "dropped_"+fate.Word(why)
	switch {
	case strings.Contains(why, "bounced address"), strings.Contains(why, "invalid"):
		n.Hard = true
	case strings.Contains(why, "spam reporting"):
		n.Kind = fate.Complained
	case strings.Contains(why, "unsubscribed"):
		n.Kind = fate.Unsubscribed
	}
}

func status(e hook.Tree) string {
	return cmp.Or(fate.Word(e.Text("status")), fate.Word(e.Text("bounce_classification")))
}

// carried gives what the mail's X-SMTPAPI header told: SendGrid puts it among
// the event's own fields, its API also under names of its own.
func carried(e hook.Tree, name string) string {
	return cmp.Or(e.Text(name), e.Text("unique_args."+name), e.Text("custom_args."+name))
}
