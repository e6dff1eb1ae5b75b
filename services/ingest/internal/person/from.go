package person

import (
	"cmp"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// nobody is the fault of an event that says nothing about who it is from.
const nobody = "is missing; expected at least one of email, phone, user_id, anonymous_id"

// FromCapture makes a submission of a request to capture a lead, normalising
// it in place.
func FromCapture(req *ingestv1.CaptureLeadRequest, country string) (*Submission, []normal.Fault) {
	faults := normal.Capture(req, country)
	p := req.GetProfile()
	if len(faults) == 0 && cmp.Or(p.GetEmail(), p.GetPhone(), req.GetUserId(), req.GetAnonymousId()) == "" && len(req.GetExternalIds()) == 0 {
		faults = []normal.Fault{{Field: "profile.email", Message: nobody}}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	id := cmp.Or(req.GetExternalId(), req.GetActivity().GetId())
	return &Submission{ID: Scoped(req.GetSource(), id), Kind: KindCapture, Apply: &ingestv1.Apply{Capture: req}}, nil
}

// FromTrack makes a submission of a request to track an activity. source is
// who tells it when the activity does not say.
func FromTrack(req *ingestv1.TrackActivityRequest, source string) (*Submission, []normal.Fault) {
	who, a := req.GetWho(), req.GetActivity()
	capture := &ingestv1.CaptureLeadRequest{
		Source: cmp.Or(a.GetSource(), source), Activity: a, OccurredAt: a.GetOccurredAt(),
	}
	if who.GetLeadId() == "" {
		capture.UserId, capture.AnonymousId = who.GetUserId(), who.GetAnonymousId()
		capture.Profile = &leadv1.Profile{Email: who.GetEmail(), Phone: who.GetPhone()}
		if who.GetExternalId() != "" {
			capture.ExternalIds = []string{who.GetExternalId()}
		}
	}
	faults := normal.Capture(capture, "")
	if len(faults) == 0 && nobodySaid(who, capture) {
		faults = []normal.Fault{{Field: "who", Message: "is empty; expected at least one of lead_id, email, user_id, anonymous_id, external_id, phone"}}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return &Submission{
		ID: Scoped(capture.GetSource(), a.GetId()), Kind: KindTrack, Lead: who.GetLeadId(),
		Apply: &ingestv1.Apply{Capture: capture, Suppression: req.GetSuppression()},
	}, nil
}

// nobodySaid reports whether an activity does not say who did it.
func nobodySaid(who *ingestv1.Who, c *ingestv1.CaptureLeadRequest) bool {
	p := c.GetProfile()
	return cmp.Or(who.GetLeadId(), p.GetEmail(), p.GetPhone(), c.GetUserId(), c.GetAnonymousId()) == "" && len(c.GetExternalIds()) == 0
}

// FromConsent makes a submission of a request to record a consent.
func FromConsent(req *ingestv1.RecordConsentRequest, source string) (*Submission, []normal.Fault) {
	capture := &ingestv1.CaptureLeadRequest{
		Source: cmp.Or(req.GetConsent().GetSource(), source), OccurredAt: req.GetConsent().GetAt(),
		Consents: []*leadv1.Consent{req.GetConsent()},
	}
	if faults := normal.Capture(capture, ""); len(faults) > 0 {
		return nil, faults
	}
	return &Submission{
		Kind: KindConsent, Lead: req.GetLeadId(),
		Apply: &ingestv1.Apply{Capture: capture, Suppression: req.GetSuppression()},
	}, nil
}
