package person_test

import (
	"testing"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

func TestAnActivityMayForbidContact(t *testing.T) {
	sub, faults := person.FromTrack(&ingestv1.TrackActivityRequest{
		Who: &ingestv1.Who{LeadId: "l1"}, Activity: &leadv1.Activity{Id: "b1", Type: "email_bounced"},
		Suppression: leadv1.Suppression_SUPPRESSION_HARD_BOUNCE,
	}, "campaign")
	if len(faults) > 0 || sub.Apply.GetSuppression() != leadv1.Suppression_SUPPRESSION_HARD_BOUNCE {
		t.Errorf("submission %+v, faults %v", sub, faults)
	}
}
