package bounce

import (
	"regexp"
	"strings"
)

// enhanced is a status code of RFC 3463, reply an SMTP code that stands alone.
var (
	enhanced = regexp.MustCompile(`\b([245])\.(\d{1,3})\.(\d{1,3})\b`)
	reply    = regexp.MustCompile(`(?:^|[\s#:(\[])([45]\d\d)(?:[\s\-)\]]|$)`)
)

// code gives the status code in a field; empty when there is none.
func code(text string) string { return enhanced.FindString(text) }

// class says whether a failure is for good. Being too strict would silence a
// person for ever, being too lax costs some mails: what is not clearly about the
// address is soft, and soft bounces in a row are counted elsewhere.
func class(status, text string) (Verdict, string) {
	text = strings.ToLower(text)
	if status == "" || strings.HasSuffix(status, ".0.0") {
		if inText := code(text); inText != "" && !strings.HasPrefix(inText, "2") {
			status = inText
		}
	}
	why := cause(text)
	switch {
	case strings.HasPrefix(status, "4."):
		return Soft, status
	case strings.HasPrefix(status, "5.") && !strings.HasPrefix(status, "5.0."):
		if gone(status) {
			return Hard, status
		}
		if (why == userUnknown || why == noDomain) && (status == "5.3.0" || strings.HasPrefix(status, "5.4.")) {
			return Hard, status // "other error" or "routing" around a clear answer
		}
		return Soft, status
	case why == userUnknown || why == noDomain:
		return Hard, why
	case why != "":
		return Soft, why
	case status != "":
		return Soft, status
	}
	if m := reply.FindStringSubmatch(text); m != nil {
		return Soft, "smtp_" + m[1]
	}
	return Soft, "unknown"
}

// gone reports whether a status says that the address does not exist.
func gone(status string) bool {
	switch status {
	case "5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", // bad address, mailbox, host
		"5.2.1",            // mailbox disabled
		"5.4.4", "5.4.310", // no such host
		"5.1.351": // Exchange: remote server says no such mailbox
		return true
	}
	return false
}

// Causes that texts name.
const (
	userUnknown = "user_unknown"
	noDomain    = "no_such_domain"
	mailboxFull = "mailbox_full"
	blocked     = "blocked"
	tooOld      = "expired"
	tooLarge    = "too_large"
)

// cause looks for what servers write, in the words they use most. What is not
// about the address comes first: a block may quote an address too.
func cause(text string) string {
	for _, c := range [...]struct {
		why   string
		words []string
	}{
		{mailboxFull, []string{"quota", "mailbox full", "mailbox is full", "insufficient storage", "out of space"}},
		{tooLarge, []string{"too large", "size limit", "exceeds the maximum", "message size"}},
		{blocked, []string{"spam", "blacklist", "blocklist", "blocked", "reputation", "policy", "listed at", "unsolicited", "dmarc", "rate limit", "too many"}},
		{noDomain, []string{"host not found", "domain not found", "no such domain", "unrouteable mail domain", "nxdomain", "couldn't find any host named", "name or service not known"}},
		{userUnknown, []string{
			"user unknown", "unknown user", "no such user", "user not found", "no mailbox here by that name", "mailbox not found",
			"does not exist", "doesn't exist", "no such mailbox", "invalid recipient", "unknown recipient", "recipient not found",
			"recipient unknown", "unrouteable address", "no such recipient", "invalid mailbox", "mailbox unavailable", "address rejected",
			"unknown local part", "not our customer", "account has been disabled", "account is disabled", "no longer available",
		}},
		{tooOld, []string{"retry timeout", "retry time", "queue too long", "delivery time expired", "could not be delivered for", "timed out", "connection refused", "i'm not going to try again"}},
	} {
		for _, w := range c.words {
			if strings.Contains(text, w) {
				return c.why
			}
		}
	}
	return ""
}
