package form

import (
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Suspicion is why a form looks as if no person had sent it. It is answered
// like any other and kept aside for a person to decide.
type Suspicion string

// The suspicions, strongest first. None is the absence of one.
const (
	None Suspicion = ""
	// Trapped: the field that people do not see was filled.
	Trapped Suspicion = "a field that people do not see was filled in"
	// Strange: the page is not one that may send to this source.
	Strange Suspicion = "it came from a page that is not among the source's origins"
	// Hasty: it came faster than anybody types.
	Hasty Suspicion = "it was sent less than 2 seconds after the form was shown"
	// Unproven: the source wants a token, and there is none of ours.
	Unproven Suspicion = "it has no valid token, which this source requires"
	// Flooding: one address sent too many.
	Flooding Suspicion = "too many forms came from one address"
)

// Look gives the suspicion about a form that was read; now is when it came.
func Look(src *source.Source, said Reading, origin string, mint Mint, now time.Time) Suspicion {
	if said.Machine {
		return Trapped
	}
	if !src.Admits(origin) {
		return Strange
	}
	age, ok := mint.Age(src.Name, said.Token, now)
	switch {
	case ok && age < TooFast:
		return Hasty
	case !ok && src.Form.Token:
		return Unproven
	}
	return None
}
