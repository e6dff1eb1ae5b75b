package bounce

import (
	"cmp"
	"strings"

	"github.com/nurturehq/nurture/pkg/returnpath"
)

// status reads a delivery status notification. Of several recipients, as behind
// an alias, the worst news counts: it is one mail to one person.
func (m *mail) status() (Report, bool) {
	found := Report{}
	for _, l := range m.leaves {
		if l.kind != "message/delivery-status" && l.kind != "message/global-delivery-status" {
			continue
		}
		for _, group := range groups(l.body) {
			if group.get("action") == "" && group.get("status") == "" {
				continue // about the message, not a recipient
			}
			if r := m.recipient(group); rank(r.Verdict) > rank(found.Verdict) {
				found = r
			}
		}
	}
	if found.Verdict == "" {
		return found, false
	}
	found.Touch = m.original()
	return found, true
}

// recipient judges one recipient's fields.
func (m *mail) recipient(g header) Report {
	status := code(g.get("status"))
	diagnosis := g.get("diagnostic-code")
	r := Report{Recipient: afterType(cmp.Or(g.get("final-recipient"), g.get("original-recipient"), g.get("x-actual-recipient")))}
	switch strings.ToLower(strings.Fields(g.get("action") + " none")[0]) {
	case "delayed":
		r.Verdict, r.Reason = Deferred, cmp.Or(status, "delayed")
	case "delivered":
		r.Verdict, r.Reason = Delivered, cmp.Or(status, "delivered")
	case "relayed", "expanded":
		// It left for a place that tells nothing more: neither good news nor bad.
		r.Verdict, r.Reason = NotAReport, strings.ToLower(g.get("action"))
	case "failed":
		r.Verdict, r.Reason = class(status, diagnosis+" "+m.prose())
	default: // some servers leave the action out
		r.Verdict, r.Reason = NotAReport, "no_action"
		if strings.HasPrefix(status, "5.") || strings.HasPrefix(status, "4.") {
			r.Verdict, r.Reason = class(status, diagnosis)
		}
	}
	return r
}

// rank orders verdicts by how much they matter.
func rank(v Verdict) int {
	switch v {
	case Hard:
		return 5
	case Soft:
		return 4
	case Deferred:
		return 3
	case Delivered:
		return 2
	case NotAReport:
		return 1
	case Complained, Unsubscribed, AutoReply:
	}
	return 0
}

// groups reads blocks of fields with empty lines between them.
func groups(body string) []header {
	var out []header
	rest := []byte(strings.TrimLeft(body, "\r\n"))
	for range maxParts {
		if len(rest) == 0 {
			break
		}
		var g header
		g, rest = split(rest)
		out = append(out, g)
	}
	return out
}

// afterType leaves out the type before an address, as in "rfc822; jo@example.com".
func afterType(field string) string {
	if _, after, ok := strings.Cut(field, ";"); ok {
		field = after
	}
	return addressIn(field)
}

// original gives the touch that the returned mail, or its header, names.
func (m *mail) original() string {
	for _, l := range m.leaves {
		switch l.kind {
		case "message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global", "message/global-headers":
			h, _ := split([]byte(strings.TrimLeft(l.body, "\r\n")))
			if touch := touchOf(h); touch != "" {
				return touch
			}
		}
	}
	return ""
}

func touchOf(h header) string {
	if touch := strings.TrimSpace(h.get(strings.ToLower(returnpath.Header))); touch != "" {
		if _, ok := returnpath.Lead(touch); ok {
			return touch
		}
	}
	return returnpath.Touch(h.get("message-id"))
}

// prose is the text written for people.
func (m *mail) prose() string {
	for _, l := range m.leaves {
		if l.kind == "text/plain" || l.kind == "" {
			return l.body[:min(len(l.body), 8<<10)]
		}
	}
	return ""
}
