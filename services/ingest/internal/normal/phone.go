package normal

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// maxE164 is the longest number of E.164 with its plus.
const maxE164 = 16

// Phone gives a number in E.164. country (ISO alpha-2, may be empty) is where a
// number without country code is dialled.
func Phone(raw, country string) (string, error) {
	raw = strings.TrimSpace(raw)
	if len(raw) > 64 {
		return "", ErrPhone
	}
	if rest, ok := strings.CutPrefix(raw, "00"); ok && country == "" {
		raw = "+" + rest
	}
	n, err := phonenumbers.Parse(raw, country)
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return "", ErrPhone
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	if len(e164) > maxE164 { // some plans allow more digits at home than can be dialled from abroad
		return "", ErrPhone
	}
	return e164, nil
}
