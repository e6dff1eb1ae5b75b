// Package returnpath is what a mail carries so that whatever comes back about
// it finds its way: the names under which providers keep the touch, and return
// addresses that only we can make. Campaign writes them, ingest reads them.
package returnpath

// Names of what a mail carries. None of them is personal data.
const (
	// Header holds the touch id as it is.
	Header = "X-Nurture-Touch"
	// TouchKey and PurposeKey are the names of the touch id, and of the purpose
	// the mail was allowed by, in a mail provider's metadata.
	TouchKey   = "nurture_touch"
	PurposeKey = "nurture_purpose"
)
