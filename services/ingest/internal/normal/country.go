package normal

import (
	"strings"

	"golang.org/x/text/language"
)

// Country gives the ISO 3166-1 alpha-2 code of a code or an English name.
func Country(raw string) (string, error) {
	s := Text(raw, 64)
	if code := countryNamed[strings.ToLower(s)]; code != "" {
		return code, nil
	}
	if len(s) != 2 && len(s) != 3 {
		return "", ErrCountry
	}
	r, err := language.ParseRegion(s)
	if err != nil || !r.IsCountry() {
		return "", ErrCountry
	}
	return r.Canonicalize().String(), nil
}

// countryNamed knows the names that forms offer most.
var countryNamed = map[string]string{ //nolint:gochecknoglobals // a constant
	"germany": "DE", "deutschland": "DE",
	"united states": "US", "united states of america": "US", "usa": "US", "u.s.": "US", "u.s.a.": "US",
	"united kingdom": "GB", "great britain": "GB", "england": "GB", "uk": "GB",
	"austria": "AT", "österreich": "AT",
	"switzerland": "CH", "schweiz": "CH", "suisse": "CH",
	"france": "FR",
	"italy":  "IT", "italia": "IT",
	"spain": "ES", "españa": "ES",
	"portugal":    "PT",
	"netherlands": "NL", "the netherlands": "NL", "holland": "NL",
	"belgium":    "BE",
	"luxembourg": "LU",
	"ireland":    "IE",
	"denmark":    "DK",
	"sweden":     "SE",
	"norway":     "NO",
	"finland":    "FI",
	"poland":     "PL", "polska": "PL",
	"czech republic": "CZ", "czechia": "CZ",
	"canada": "CA",
	"mexico": "MX",
	"brazil": "BR", "brasil": "BR",
	"india":       "IN",
	"china":       "CN",
	"japan":       "JP",
	"south korea": "KR", "korea": "KR",
	"singapore":            "SG",
	"australia":            "AU",
	"new zealand":          "NZ",
	"south africa":         "ZA",
	"united arab emirates": "AE",
	"israel":               "IL",
	"turkey":               "TR", "türkiye": "TR",
}
