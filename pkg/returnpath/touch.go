package returnpath

import (
	"strconv"
	"strings"
)

// maxTouch bounds a touch id, in bytes: a lead id has at most 64.
const maxTouch = 80

// Lead gives the lead of a touch id, which is `<lead id>-t<number>`.
func Lead(touch string) (lead string, ok bool) {
	at := strings.LastIndex(touch, "-t")
	if at < 1 || len(touch) > maxTouch {
		return "", false
	}
	n, err := strconv.ParseUint(touch[at+2:], 10, 32)
	if err != nil || n == 0 || touch[at+2] == '0' || touch[at+2] == '+' {
		return "", false
	}
	lead = touch[:at]
	if strings.ContainsFunc(lead, func(r rune) bool { return !isID(r) }) {
		return "", false
	}
	return lead, true
}

func isID(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// Touch gives the touch of a Message-ID of ours, `<touch@domain>` with or
// without the brackets; empty for any other.
func Touch(messageID string) string {
	id := strings.Trim(strings.TrimSpace(messageID), "<>")
	local, _, ok := strings.Cut(id, "@")
	if !ok {
		return ""
	}
	if _, ok = Lead(local); !ok {
		return ""
	}
	return local
}
