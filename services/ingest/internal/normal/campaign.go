package normal

import (
	"net/url"
	"strings"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// maxURL bounds an address that is kept, in bytes.
const maxURL = 2048

// clickIDs are the parameters that advertising systems add to a link, and the
// ids they keep in cookies.
const clickIDs = " gclid gbraid wbraid dclid fbclid fbc fbp msclkid li_fat_id ttclid twclid rdt_cid epik sccid utm_id "

// browserID is among them what says which browser it was, not which click.
const browserID = "fbp"

// ClickID reports whether a parameter is the click id of an advertising system.
func ClickID(param string) bool {
	return clickID(param) != ""
}

// clickID gives the name that a click id is kept under; empty when it is none.
func clickID(param string) string {
	name := strings.TrimPrefix(strings.ToLower(param), "_")
	if name == "sc_cid" { // ScCid, as it is spelled among the fields of a form
		name = "sccid"
	}
	if name == "" || strings.ContainsRune(name, ' ') || !strings.Contains(clickIDs, " "+name+" ") {
		return ""
	}
	return name
}

// Campaign reads where somebody came from out of the page they are on: UTM
// parameters and click ids. nil when the page and the referrer say nothing.
func Campaign(page, referrer string) *leadv1.Attribution {
	page, referrer = Text(page, maxURL), Text(referrer, maxURL)
	if page == "" && referrer == "" {
		return nil
	}
	a := &leadv1.Attribution{Referrer: referrer, LandingPage: page}
	_, query, ok := strings.Cut(page, "?")
	if !ok {
		return a
	}
	query, _, _ = strings.Cut(query, "#")
	values, _ := url.ParseQuery(query) // what can be read of it is worth having
	for param, v := range values {
		Tag(a, param, v[0])
	}
	return a
}

// Tag adds one parameter to an attribution and reports whether it is one that
// belongs there.
func Tag(a *leadv1.Attribution, param, value string) bool {
	value = Text(value, maxText)
	into := func(field *string) bool { *field = value; return true }
	switch strings.ToLower(param) {
	case "utm_source":
		return into(&a.UtmSource)
	case "utm_medium":
		return into(&a.UtmMedium)
	case "utm_campaign":
		return into(&a.UtmCampaign)
	case "utm_term":
		return into(&a.UtmTerm)
	case "utm_content":
		return into(&a.UtmContent)
	}
	name := clickID(param)
	if name == "" {
		return false
	}
	if value != "" {
		if a.ClickIds == nil {
			a.ClickIds = map[string]string{}
		}
		a.ClickIds[name] = value
	}
	return true
}

// Told reports whether an attribution names a campaign or a click: such a touch
// replaces the last one, a mere page does not.
func Told(a *leadv1.Attribution) bool {
	clicks := len(a.GetClickIds())
	if _, ok := a.GetClickIds()[browserID]; ok {
		clicks--
	}
	return a.GetUtmSource() != "" || a.GetUtmMedium() != "" || a.GetUtmCampaign() != "" ||
		a.GetUtmTerm() != "" || a.GetUtmContent() != "" || clicks > 0
}
