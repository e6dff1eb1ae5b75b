package segment

import (
	"cmp"

	"github.com/nurturehq/nurture/services/ingest/internal/loose"
)

// Context is what a library adds to every call, as far as it is kept. Not kept
// are the library, the network, the screen, and the address the visitor came
// from, except as the proof of a consent.
type Context struct {
	Campaign  loose.Object `json:"campaign"`
	Referrer  loose.Object `json:"referrer"`
	Page      loose.Object `json:"page"`
	Traits    loose.Object `json:"traits"`
	Device    loose.Object `json:"device"`
	OS        loose.Object `json:"os"`
	App       loose.Object `json:"app"`
	Locale    loose.Text   `json:"locale"`
	Timezone  loose.Text   `json:"timezone"`
	UserAgent loose.Text   `json:"userAgent"`
	IP        loose.Text   `json:"ip"`
	GroupID   loose.Text   `json:"groupId"`
}

// inherit takes over what is not said here.
func (c *Context) inherit(s *Context) {
	for _, pair := range [...][2]*loose.Object{
		{&c.Campaign, &s.Campaign},
		{&c.Referrer, &s.Referrer},
		{&c.Page, &s.Page},
		{&c.Traits, &s.Traits},
		{&c.Device, &s.Device},
		{&c.OS, &s.OS},
		{&c.App, &s.App},
	} {
		if *pair[0] == nil {
			*pair[0] = *pair[1]
		}
	}
	for _, pair := range [...][2]*loose.Text{
		{&c.Locale, &s.Locale},
		{&c.Timezone, &s.Timezone},
		{&c.UserAgent, &s.UserAgent},
		{&c.IP, &s.IP},
		{&c.GroupID, &s.GroupID},
	} {
		*pair[0] = cmp.Or(*pair[0], *pair[1])
	}
}
