package normal

import (
	"strings"

	"golang.org/x/text/language"
)

// Country gives the ISO 3166-1 alpha-2 code of a code or an English name.
func Country(raw string) (string, error) {
	s := Text(raw, 64)
	if code := countryNamed(strings.ToLower(s)); code != "" {
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
func countryNamed(name string) string {
	switch name {
	case "germany", "deutschland":
		return "DE"
	case "united states", "united states of america", "usa", "u.s.", "u.s.a.":
		return "US"
	case "united kingdom", "great britain", "england", "uk":
		return "GB"
	case "austria", "österreich":
		return "AT"
	case "switzerland", "schweiz", "suisse":
		return "CH"
	case "france":
		return "FR"
	case "italy", "italia":
		return "IT"
	case "spain", "españa":
		return "ES"
	case "portugal":
		return "PT"
	case "netherlands", "the netherlands", "holland":
		return "NL"
	case "belgium":
		return "BE"
	case "luxembourg":
		return "LU"
	case "ireland":
		return "IE"
	case "denmark":
		return "DK"
	case "sweden":
		return "SE"
	case "norway":
		return "NO"
	case "finland":
		return "FI"
	case "poland", "polska":
		return "PL"
	case "czech republic", "czechia":
		return "CZ"
	case "canada":
		return "CA"
	case "mexico":
		return "MX"
	case "brazil", "brasil":
		return "BR"
	case "india":
		return "IN"
	case "china":
		return "CN"
	case "japan":
		return "JP"
	case "south korea", "korea":
		return "KR"
	case "singapore":
		return "SG"
	case "australia":
		return "AU"
	case "new zealand":
		return "NZ"
	case "south africa":
		return "ZA"
	case "united arab emirates":
		return "AE"
	case "israel":
		return "IL"
	case "turkey", "türkiye":
		return "TR"
	}
	return ""
}
