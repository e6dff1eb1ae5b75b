package normal

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

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
	return phonenumbers.Format(n, phonenumbers.E164), nil
}
