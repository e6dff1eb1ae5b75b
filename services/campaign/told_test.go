package campaign_test

import (
	"slices"
	"testing"

	"github.com/nurturehq/nurture/pkg/bus"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// told is what ingest records when a provider tells something of a mail.
func (r *room) told(lead, touch, activity, bounce string) {
	r.t.Helper()
	properties := map[string]string{"touch_id": touch}
	if bounce != "" {
		properties["bounce"] = bounce
	}
	r.record(bus.Leads, lead, &ingestv1.State{Lead: r.people[lead]}, &ingestv1.Event{Fact: &ingestv1.Event_Activity{
		Activity: &leadv1.Activity{Type: activity, Properties: properties},
	}})
}

func (r *room) touches(lead string) []*campaignv1.Touch {
	r.t.Helper()
	resp, err := r.client.ListTouches(r.t.Context(), &campaignv1.ListTouchesRequest{LeadId: lead})
	if err != nil {
		return nil
	}
	return resp.GetTouches()
}

// parked reports whether a lead's first touch is on the list; the next one may be, too.
func (r *room) parked(lead string) bool {
	r.t.Helper()
	list, err := r.bus.ListParkedOf(r.t.Context(), "campaign", lead)
	if err != nil {
		r.t.Fatal(err)
	}
	claim := bus.Subject(bus.Campaign, lead, bus.KindClaim, lead+"-t1")
	return slices.ContainsFunc(list, func(p bus.ParkedMsg) bool { return p.GetSubject() == claim })
}

func TestAnAmbiguousTouchIsSettledByTheProviderAndNoPersonIsAsked(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.silent["lead1"], r.silent["lead2"], r.silent["lead3"] = true, true, true
	r.start()
	for _, lead := range []string{"lead1", "lead2", "lead3"} {
		r.capture(lead)
		r.stage(lead, leadv1.Stage_STAGE_NURTURING)
		r.eventually(lead+"'s mail is ambiguous", func() bool {
			touches := r.touches(lead)
			return len(touches) > 0 && touches[0].GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS
		})
	}
	for _, lead := range []string{"lead1", "lead2", "lead3"} {
		if !r.parked(lead) {
			t.Fatalf("%s's touch is ambiguous and not parked", lead)
		}
	}
	r.told("lead1", "lead1-t1", "email_delivered", "")
	r.told("lead2", "lead2-t1", "email_bounced", "hard")
	for lead, want := range map[string]campaignv1.TouchStatus{
		"lead1": campaignv1.TouchStatus_TOUCH_STATUS_SENT, "lead2": campaignv1.TouchStatus_TOUCH_STATUS_FAILED,
	} {
		r.eventually(lead+"'s touch is settled", func() bool { return r.touches(lead)[0].GetStatus() == want })
		r.eventually(lead+" is off the list", func() bool { return !r.parked(lead) })
	}
	if !r.parked("lead3") {
		t.Error("what nobody told anything about left the list")
	}
	if _, err := r.client.ResolveTouch(t.Context(), &campaignv1.ResolveTouchRequest{
		LeadId: "lead3", TouchId: "lead3-t1", Status: campaignv1.TouchStatus_TOUCH_STATUS_SENT,
	}); err != nil {
		t.Fatal(err)
	}
	r.eventually("a person's answer takes it off the list too", func() bool { return !r.parked("lead3") })
	r.verify()
}

func TestALateBounceIsSeenOnTheTouch(t *testing.T) {
	t.Parallel()
	r := newRoom(t).start()
	r.capture("lead1")
	r.stage("lead1", leadv1.Stage_STAGE_NURTURING)
	r.eventually("the mail is sent", func() bool {
		touches := r.touches("lead1")
		return len(touches) > 0 && touches[0].GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_SENT
	})
	r.told("lead1", "lead1-t1", "email_delivered", "")
	r.told("lead1", "lead1-t1", "email_bounced", "hard")
	r.eventually("the touch says both", func() bool {
		touch := r.touches("lead1")[0]
		return touch.GetDeliveredAt() != nil && touch.GetBouncedAt() != nil && touch.GetBounce() == "hard" &&
			touch.GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_SENT
	})
	r.verify()
}
