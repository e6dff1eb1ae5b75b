package sender

import (
	"errors"
	"fmt"
	"net/textproto"

	gosmtp "github.com/wneessen/go-mail/smtp"

	"github.com/nurturehq/nurture/services/campaign/internal/sender/mail"
)

// Result is what is known after an attempt to hand over a mail.
type Result int

// The results.
const (
	// Accepted: the server answered 250 to the whole mail; it is theirs now.
	Accepted Result = iota + 1
	// Refused: the server said that it will never take it.
	Refused
	// NotTaken: the server certainly does not have it; it may be tried again.
	NotTaken
	// Unknown: the mail was on its way and no answer came. It must not be sent again.
	Unknown
)

// Attempt is a result and its named reason, e.g. "smtp_451".
type Attempt struct {
	Result Result
	Reason string
	// Recipient: the server refused this very reader, as for a mailbox that does not exist.
	Recipient bool
	// Err is for the log; nil when accepted.
	Err error
}

// Reasons of attempts that no SMTP code names.
const (
	reasonAccepted    = "accepted"
	reasonUnreachable = "smtp_unreachable"
	reasonNoAnswer    = "no_answer"
	reasonBadAddress  = "bad_address"
	reasonBadTemplate = "template_failed"
	reasonNoProgram   = "program_lost"
	reasonBrokenOff   = "smtp_broken_off"
	reasonClaimOrphan = "sender_vanished"
	reasonMaxDefer    = "max_defer"
	reasonSuperseded  = "superseded"
)

// transmit speaks one mail. broken says that the connection must not be used
// again. Where it fails decides what is known: before the body was begun the
// server cannot have the mail, after its last line only the answer tells.
func transmit(c *gosmtp.Client, m mail.Mail) (a Attempt, broken bool) {
	if err := c.Mail("<" + m.From + ">"); err != nil {
		return early(c, err, false)
	}
	if err := c.Rcpt("<" + m.To + ">"); err != nil {
		return early(c, err, true)
	}
	w, err := c.Data()
	if err != nil {
		return early(c, err, false)
	}
	if _, err := w.Write(m.Raw); err != nil {
		// The end of the mail was not written: no server may take half of one,
		// but one that does not care about rules might.
		return Attempt{Result: Unknown, Reason: reasonNoAnswer, Err: fmt.Errorf("write mail: %w", err)}, true
	}
	if err := w.Close(); err != nil {
		return late(err)
	}
	return Attempt{Result: Accepted, Reason: reasonAccepted}, false
}

// early judges a failure before the body: the server does not have the mail.
func early(c *gosmtp.Client, err error, recipient bool) (Attempt, bool) {
	code := codeOf(err)
	switch {
	case code >= 500:
		return Attempt{Result: Refused, Reason: named(code), Recipient: recipient, Err: err}, c.Reset() != nil
	case code >= 400:
		return Attempt{Result: NotTaken, Reason: named(code), Err: err}, code == 421 || c.Reset() != nil
	default:
		return Attempt{Result: NotTaken, Reason: reasonBrokenOff, Err: err}, true
	}
}

// late judges a failure after the last line: an answer is an answer, silence is
// not knowing.
func late(err error) (Attempt, bool) {
	code := codeOf(err)
	switch {
	case code >= 500:
		return Attempt{Result: Refused, Reason: named(code), Err: err}, false
	case code >= 400:
		return Attempt{Result: NotTaken, Reason: named(code), Err: err}, code == 421
	default:
		return Attempt{Result: Unknown, Reason: reasonNoAnswer, Err: err}, true
	}
}

func codeOf(err error) int {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}

func named(code int) string { return fmt.Sprintf("smtp_%d", code) }
