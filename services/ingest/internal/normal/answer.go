package normal

import "strings"

// Answer reads a yes or a no as people, forms and systems write them; plain is
// false for anything that is not plainly one.
func Answer(text string) (yes, plain bool) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "yes", "y", "true", "t", "1", "x", "on", "granted", "opt-in", "opted in", "subscribed", "ja", "oui", "si", "sí":
		return true, true
	case "no", "n", "false", "f", "0", "off", "denied", "opt-out", "opted out", "unsubscribed", "nein", "non":
		return false, true
	}
	return false, false
}
