package box

import (
	"path/filepath"

	"github.com/nurturehq/nurture/services/campaign"
)

// StoryScale makes the waits of the example's programs short enough for a story
// of half a minute.
const StoryScale = 0.15

func (b *Box) campaignConfig() campaign.Config {
	c := campaign.DefaultConfig()
	c.Programs, c.Templates = filepath.Join(b.opts.Config, "programs"), filepath.Join(b.opts.Config, "templates")
	c.LinkKeys = []string{b.keys.Links}
	if b.opts.TimeScale > 0 {
		c.TimeScale = b.opts.TimeScale
	}
	if b.doors == nil {
		return c // only its fold is wanted
	}
	c.PublicURL = b.URL(CampaignHTTP)
	c.SMTP.Addr = b.Addr(InboxSMTP)
	return c
}
