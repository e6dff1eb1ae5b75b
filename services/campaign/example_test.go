package campaign_test

import (
	"testing"

	"github.com/nurturehq/nurture/services/campaign"
)

func TestTheExampleProgramsAreRight(t *testing.T) {
	t.Parallel()
	if _, err := campaign.Lint("../../deploy/example"); err != nil {
		t.Error(err)
	}
}
