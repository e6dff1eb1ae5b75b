package hook

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// ActivityErasure is what somebody did who asks, at the sender, to be forgotten.
const ActivityErasure = "erasure_requested"

// Erasure is a sender telling that somebody wants to be forgotten: contact is
// forbidden from now on, and a person is asked to erase the lead. who is the
// sender's id of the person, id the one of the message.
func Erasure(src *source.Source, who, id string, at time.Time) Item {
	c := &ingestv1.CaptureLeadRequest{
		Source: src.Name, ExternalId: ExternalID(who), Profile: &leadv1.Profile{},
		Activity: &leadv1.Activity{Type: ActivityErasure, Properties: map[string]string{"by": src.Kind}},
	}
	if !at.IsZero() {
		c.OccurredAt = timestamppb.New(at)
	}
	id = ExternalID(id)
	return Item{
		ID:   id,
		Task: "the person asked " + src.Kind + " to be forgotten; contact is forbidden already. Erase the lead (nurture lead erase), then dismiss this entry",
		Submission: &person.Submission{
			ID: person.Scoped(src.Name, id), Kind: person.KindTrack,
			Apply: &ingestv1.Apply{Capture: c, MustExist: true, Suppression: leadv1.Suppression_SUPPRESSION_MANUAL},
		},
	}
}

// Stamp is a time as messages carry it; nil when there is none.
func Stamp(at time.Time) *timestamppb.Timestamp {
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}
