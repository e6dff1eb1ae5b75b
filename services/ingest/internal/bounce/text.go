package bounce

import (
	"regexp"
	"strings"

	"github.com/nurturehq/nurture/pkg/returnpath"
)

var (
	quoted  = regexp.MustCompile(`(?mi)^[>\s]*(x-nurture-touch|message-id):[ \t]*(\S+)`)
	address = regexp.MustCompile(`[A-Za-z0-9._%+\-']{1,64}@[A-Za-z0-9](?:[A-Za-z0-9\-]{0,62}\.)+[A-Za-z]{2,24}`)
	tag     = regexp.MustCompile(`(?s)<[^>]{0,500}>`)
)

// answered names the sign by which a mail is an answer of a machine on a
// person's behalf; empty when it is none.
func (m *mail) answered() string {
	auto := strings.ToLower(m.header.get("auto-submitted"))
	subject := m.subject()
	switch {
	case challenge(subject, strings.ToLower(m.prose())):
		return "challenge"
	case m.failed(subject): // daemons call themselves automatic too
		return ""
	case strings.HasPrefix(auto, "auto-replied"), strings.HasPrefix(auto, "auto-notified"):
		return "auto_submitted"
	case m.header.get("x-autoreply") != "", m.header.get("x-autorespond") != "", m.header.get("x-auto-reply-from") != "":
		return "auto_reply_header"
	case strings.EqualFold(m.header.get("precedence"), "auto_reply"), strings.EqualFold(m.header.get("x-precedence"), "auto_reply"):
		return "auto_reply_header"
	case contains(subject, "out of office", "out of the office", "automatic reply", "auto-reply", "autoreply", "auto reply", "auto response",
		"on vacation", "away from", "abwesenheit", "automatische antwort", "absence du bureau", "réponse automatique", "respuesta automática"):
		return "subject"
	case strings.HasPrefix(auto, "auto-generated"):
		return "auto_submitted"
	}
	return ""
}

// challenge reports whether a machine wants a person to prove that they wrote.
func challenge(subject, prose string) bool {
	return contains(subject, "please confirm your message", "confirm your email to", "verify your email", "your message awaits", "sender verification", "[confirm]") ||
		contains(prose, "click the link below to confirm that you are a", "to release your message", "you are not on my approved", "is protected by", "challenge-response", "reply to this message to confirm you are a")
}

// failed reports whether a mail looks like the word of a mail server.
func (m *mail) failed(subject string) bool {
	from := strings.ToLower(m.header.get("from"))
	return m.header.get("x-failed-recipients") != "" || contains(from, "mailer-daemon", "mail delivery", "postmaster@", "mail-daemon") ||
		strings.TrimSpace(m.header.get("return-path")) == "<>" && contains(subject, "fail", "undeliver", "return", "delivery", "delay") ||
		contains(subject, "failure notice", "mail delivery failed", "undelivered mail", "undeliverable", "returned mail", "delivery status notification",
			"delivery failure", "unzustellbar", "nondeliverable mail", "could not send message", "warning: could not send", "delivery has failed")
}

// told reads a bounce that is only text. Its words decide; the quoted mail at
// its end is not among them.
func (m *mail) told() (Report, bool) {
	subject := m.subject()
	if !m.failed(subject) {
		return Report{}, false
	}
	prose := m.prose()
	if prose == "" && len(m.leaves) > 0 {
		prose = tagless(m.leaves[0].body)
	}
	said := unquoted(prose)
	low := strings.ToLower(said)
	if !contains(subject+" "+low, "deliver", "return", "fail", "unable", "could not", "undeliver", "rejected", "zustell", "not accepted", "delay") {
		return Report{}, false
	}
	r := Report{Recipient: m.failedRecipient(said), Touch: m.original()}
	if contains(subject+" "+low, "warning: ", "delayed", "will keep trying", "will be retried", "still being retried", "no action is required", "delivery attempts will continue") {
		r.Verdict, r.Reason = Deferred, "delayed"
		return r, true
	}
	r.Verdict, r.Reason = class(code(said), said)
	return r, true
}

// failedRecipient finds whom the mail was for: the header of exim, else the
// first address in the text that is not the daemon's own.
func (m *mail) failedRecipient(said string) string {
	if to := addressIn(m.header.get("x-failed-recipients")); to != "" {
		return to
	}
	for _, a := range address.FindAllString(said, 8) {
		if l := strings.ToLower(a); !strings.HasPrefix(l, "postmaster@") && !strings.HasPrefix(l, "mailer-daemon@") && !strings.HasPrefix(l, returnpath.Bounce+"+") {
			return a
		}
	}
	return ""
}

// unquoted cuts the returned mail off.
func unquoted(text string) string {
	low := strings.ToLower(text)
	end := len(text)
	for _, mark := range [...]string{
		"--- below this line is a copy", "------ this is a copy of the message", "----- original message", "--- the header of the original",
		"----- unsent message", "received: from", "\nreturn-path:", "\nmessage-id:", "----- message header follows",
	} {
		if at := strings.Index(low, mark); at >= 0 && at < end && at <= len(text) {
			end = at
		}
	}
	return text[:end]
}

// quotedTouch finds the touch in a mail that is quoted as text.
func (m *mail) quotedTouch() string {
	found := ""
	for _, l := range m.leaves {
		for _, f := range quoted.FindAllStringSubmatch(l.body, 32) {
			touch := f[2]
			if strings.EqualFold(f[1], "message-id") {
				touch = returnpath.Touch(f[2])
			}
			if _, ok := returnpath.Lead(touch); ok {
				if strings.EqualFold(f[1], returnpath.Header) {
					return touch
				}
				found = touch
			}
		}
	}
	return found
}

func addressIn(text string) string { return address.FindString(text) }

func tagless(html string) string { return tag.ReplaceAllString(html, " ") }

func contains(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
