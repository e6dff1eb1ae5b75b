package bounce

import (
	"cmp"
	"strings"
)

// complaint reads an abuse report.
func (m *mail) complaint() (Report, bool) {
	for _, l := range m.leaves {
		if l.kind != "message/feedback-report" {
			continue
		}
		g, _ := split([]byte(strings.TrimLeft(l.body, "\r\n")))
		r := Report{
			Recipient: afterType(cmp.Or(g.get("original-rcpt-to"), g.get("removal-recipient"))),
			Touch:     m.original(),
		}
		switch kind := strings.ToLower(g.get("feedback-type")); kind {
		case "opt-out", "opt-out-list":
			r.Verdict, r.Reason = Unsubscribed, "opt_out"
		case "not-spam", "auth-failure", "dmarc":
			// Good news, or news about our own records: nobody complained.
			r.Verdict, r.Reason = NotAReport, strings.ReplaceAll(kind, "-", "_")
		default:
			r.Verdict, r.Reason = Complained, cmp.Or(word(kind), "abuse")
		}
		return r, true
	}
	return Report{}, false
}

// word keeps a short word of letters; anything else is not one.
func word(s string) string {
	if len(s) > 32 || strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' && r != '_' }) {
		return ""
	}
	return s
}
