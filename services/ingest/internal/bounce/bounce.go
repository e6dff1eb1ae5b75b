// Package bounce reads mails that come back: delivery reports (RFC 3464), the
// plain-text bounces of servers that do not write any, complaints (RFC 5965) and
// requests to unsubscribe; and it tells them from the answers of absent people
// and of machines that want to be asked first. Pure.
package bounce

import (
	"cmp"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/returnpath"
)

// Verdict is what a mail that came back means.
type Verdict string

// The verdicts.
const (
	// Hard: the address does not exist and will not.
	Hard Verdict = "bounced_hard"
	// Soft: this mail was not taken; another one may be.
	Soft Verdict = "bounced_soft"
	// Deferred: the mail has not arrived yet, and is still being tried.
	Deferred Verdict = "deferred"
	// Delivered: the reader's server took it, and says so.
	Delivered Verdict = "delivered"
	// Complained: the reader called the mail spam.
	Complained Verdict = "complained"
	// Unsubscribed: the reader wants no more.
	Unsubscribed Verdict = "unsubscribed"
	// AutoReply: a machine answered for a person. It says nothing about the mail.
	AutoReply Verdict = "auto_reply"
	// NotAReport: somebody wrote to the address.
	NotAReport Verdict = "not_a_report"
)

// Report is what a mail that came back says.
type Report struct {
	Verdict Verdict
	// Reason is a status code like 5.1.1, or a word like user_unknown: never the
	// server's own text, which names people.
	Reason string
	// Recipient is whom the mail was for, as the report says; empty when it does not.
	Recipient string
	// Touch is what the returned mail says it was, by its headers. Anybody can
	// write them.
	Touch string
	// Text is all that can be read in the mail, decoded: a signed return address
	// may stand in it.
	Text string
	// ID is the Message-ID of the report itself; empty when it has none.
	ID string
	// At is the report's own date; zero when it has none.
	At time.Time
}

// maxText bounds what is kept of a mail's text, in bytes.
const maxText = 256 << 10

// Read says what a mail is. box is the beginning of the address it came to. It
// never fails: what cannot be read is no report.
func Read(raw []byte, box string) Report {
	m := open(raw)
	r := m.judge(box)
	r.ID, r.At, r.Text = m.id(), m.date(), m.text()
	r.Touch = cmp.Or(r.Touch, m.quotedTouch())
	r.Recipient = strings.ToLower(r.Recipient)
	if len(r.Reason) > 64 {
		r.Reason = r.Reason[:64]
	}
	return r
}

// judge asks the most certain signs first.
func (m *mail) judge(box string) Report {
	if r, ok := m.complaint(); ok {
		return r
	}
	if r, ok := m.status(); ok {
		return r
	}
	if why := m.answered(); why != "" {
		return Report{Verdict: AutoReply, Reason: why}
	}
	if r, ok := m.told(); ok {
		return r
	}
	if box == returnpath.Unsubscribe {
		return Report{Verdict: Unsubscribed, Reason: "mail_to_unsubscribe", Recipient: m.sender()}
	}
	return Report{Verdict: NotAReport}
}
