// Package fate is what became of a mail, whoever tells it: which touch it was,
// and what it means for the lead. Pure.
package fate

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/returnpath"
	"github.com/nurturehq/nurture/pkg/visitor"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Kind is what became of a mail.
type Kind string

// The kinds.
const (
	Delivered    Kind = "email_delivered"
	Deferred     Kind = "email_deferred"
	Bounced      Kind = "email_bounced"
	Complained   Kind = "email_complained"
	Unsubscribed Kind = "email_unsubscribed"
	Opened       Kind = "email_opened"
	Clicked      Kind = "email_clicked"
)

// Why news are of no interest.
const (
	// IgnoredEngagement: opens and clicks are counted by our own links already.
	IgnoredEngagement = "counted_by_our_own_links"
	// IgnoredStep: the mail is still on its way within the provider.
	IgnoredStep = "still_on_its_way"
	// IgnoredReturn: the provider would send to the address again. Whether we do
	// is for the person to say, not for the provider.
	IgnoredReturn = "allowed_again_elsewhere"
	// IgnoredAnswer: a machine answered for a person.
	IgnoredAnswer = "auto_reply"
	// IgnoredGood: a person said that the mail is no spam.
	IgnoredGood = "not_spam"
)

// Options of every source of this sort.
const (
	// OptionSoft is after how many soft bounces in a row an address is gone.
	OptionSoft = "soft_bounces"
	// OptionEngagement takes the provider's opens and clicks too.
	OptionEngagement = "opens_and_clicks"
)

// DefaultSoft is how many soft bounces in a row an address may have, less one.
const DefaultSoft = 5

// Options names what every such source can be told.
func Options() map[string]string {
	return map[string]string{
		OptionSoft:       "after how many mails in a row that bounced for now an address counts as gone, 0 for never, at most 10; default 5",
		OptionEngagement: "true: take the provider's opens and clicks too, when its own tracking is used instead of ours",
	}
}

// News is one thing that a provider or a mail server tells of one mail.
type News struct {
	// ID is the teller's own id of it, the dedupe key within the source.
	ID   string
	Kind Kind
	// Touch is what the mail carried, MessageID what its header said, Recipient
	// whom it went to: the first that leads to somebody counts.
	Touch, MessageID, Recipient string
	// Purpose the mail was allowed by; empty when it is not known.
	Purpose string
	// Hard: the address does not exist. For bounces.
	Hard bool
	// Reason is a code or a word, without personal data.
	Reason string
	// URL of a click.
	URL string
	// Machine: the provider says that no person did it.
	Machine bool
	// Agent and Address of whoever opened or clicked, as the provider saw them:
	// evidence for the verdict. Empty when it does not say.
	Agent, Address string
	At             time.Time
}

// How the lead of a mail was found, for the activity.
const (
	byTouch     = "touch"
	byMessageID = "message_id"
	byAddress   = "address"
)

// Item makes an item of news.
func (n News) Item(src *source.Source) hook.Item {
	item := hook.Item{ID: hook.ExternalID(n.ID)}
	if (n.Kind == Opened || n.Kind == Clicked) && src.Options[OptionEngagement] != "true" {
		item.Ignored = IgnoredEngagement
		return item
	}
	item.Submission, item.Faults = n.Submission(src.Name, SoftLimit(src.Options[OptionSoft]))
	if item.Submission != nil {
		item.Submission.ID = person.Scoped(src.Name, item.ID)
	}
	return item
}

// Submission is the news as ingest's flow takes it. soft is after how many soft
// bounces in a row an address is gone.
func (n News) Submission(from string, soft uint32) (*person.Submission, []normal.Fault) {
	touch, found := n.touch()
	lead, _ := returnpath.Lead(touch)
	who := &ingestv1.Who{LeadId: lead}
	if lead == "" {
		who.Email, found = n.Recipient, byAddress
	}
	if lead == "" && n.Recipient == "" {
		return nil, hook.Fault("touch", "is missing, and so are the Message-ID of a mail of ours and the recipient: whose news is it?")
	}
	sub, faults := person.FromTrack(&ingestv1.TrackActivityRequest{
		Who: who, Activity: n.activity(touch, found, soft), Suppression: n.forbids(),
	}, from)
	if sub == nil {
		return nil, faults
	}
	sub.Apply.MustExist = true // news of a stranger's mail makes no lead
	if n.Kind == Unsubscribed && n.Purpose != "" {
		sub.Apply.Capture.Consents = []*leadv1.Consent{{
			Purpose: n.Purpose, Source: from, Method: "email_provider", Text: "Unsubscribed at the mail provider", At: stamp(n.At),
		}}
	}
	return sub, faults
}

func (n News) touch() (touch, found string) {
	if _, ok := returnpath.Lead(n.Touch); ok {
		return n.Touch, byTouch
	}
	if touch = returnpath.Touch(n.MessageID); touch != "" {
		return touch, byMessageID
	}
	return "", ""
}

func (n News) activity(touch, found string, soft uint32) *leadv1.Activity {
	a := &leadv1.Activity{
		Id: hook.ExternalID(n.ID), Type: string(n.Kind), OccurredAt: stamp(n.At), Machine: n.Machine,
		Properties: map[string]string{"found_by": found},
	}
	set := func(name, value string) {
		if value != "" {
			a.Properties[name] = value
		}
	}
	set("touch_id", touch)
	set("reason", n.Reason)
	set("url", n.URL)
	a.Hit = n.seen()
	if n.Kind == Bounced {
		a.Properties["bounce"] = "hard"
		if !n.Hard {
			a.Properties["bounce"], a.SoftBounceLimit = "soft", soft
		}
	}
	return a
}

// maxAgent bounds what is kept of an agent, in bytes.
const maxAgent = 256

// seen is the evidence of an open or a click; nil where a provider does not say
// with what it was done: that is no sign of a machine.
func (n News) seen() *leadv1.Hit {
	if n.Kind != Opened && n.Kind != Clicked || n.Agent == "" {
		return nil
	}
	return &leadv1.Hit{Agent: normal.Text(n.Agent, maxAgent), Network: visitor.NetworkOf(n.Address)}
}

// forbids says what the news forbid for the time to come.
func (n News) forbids() leadv1.Suppression {
	switch {
	case n.Kind == Bounced && n.Hard:
		return leadv1.Suppression_SUPPRESSION_HARD_BOUNCE
	case n.Kind == Complained:
		return leadv1.Suppression_SUPPRESSION_COMPLAINT
	case n.Kind == Unsubscribed:
		return leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED
	}
	return leadv1.Suppression_SUPPRESSION_UNSPECIFIED
}

// SoftLimit reads the option; what is no number from 0 to the most that is
// counted is the default.
func SoftLimit(text string) uint32 {
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || n > person.MaxSoftBounces {
		return DefaultSoft
	}
	return uint32(n)
}

// Ignored is an item that is rightly of no interest.
func Ignored(id, why string) hook.Item {
	return hook.Item{ID: hook.ExternalID(id), Ignored: why}
}

// Unknown is an item of a kind that nobody told us about: it is kept, so that
// being wrong about a provider is seen.
func Unknown(id, field, value string) hook.Item {
	return hook.Item{ID: hook.ExternalID(id), Faults: hook.Fault(field, "is "+strconv.Quote(cut(value))+", which is not known here")}
}

// Digest makes an id of parts that may name people.
func Digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func cut(s string) string { return s[:min(len(s), 40)] }

func stamp(at time.Time) *timestamppb.Timestamp {
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}

// Word makes a reason of what a provider says: lower case, without anything but
// letters, digits, dots and underscores.
func Word(s string) string {
	out := make([]byte, 0, 40)
	for i := 0; i < len(s) && len(out) < 40; i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.':
			out = append(out, c)
		case c >= 'A' && c <= 'Z':
			if i > 0 && s[i-1] >= 'a' && s[i-1] <= 'z' {
				out = append(out, '_')
			}
			out = append(out, c+'a'-'A')
		case c == '@':
			return "" // an address is no reason
		case len(out) > 0 && out[len(out)-1] != '_':
			out = append(out, '_')
		}
	}
	return string(out)
}
