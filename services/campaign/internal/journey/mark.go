package journey

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Types of activities that concern touches: what the reader did, and what a
// mail provider or a mail server told.
const (
	typeOpened     = "email_opened"
	typeClicked    = "email_clicked"
	typeDelivered  = "email_delivered"
	typeBounced    = "email_bounced"
	typeComplained = "email_complained"
)

// How a mail bounced, as the activity says.
const (
	bounceHard = "hard"
	bounceSoft = "soft"
)

// told begins the reason of a touch that was ambiguous until somebody else told
// what became of the mail.
const told = "told:"

// mark notes on its touch what an activity says about a mail, and settles the
// touch by it if nobody knew.
func (t *Turn) mark(a *leadv1.Activity) {
	touch := t.touch(a.GetProperties()["touch_id"])
	if touch == nil {
		return
	}
	at := timestamppb.New(t.now)
	switch a.GetType() {
	case typeOpened:
		t.note(&touch.OpenedAt, at)
	case typeClicked:
		t.note(&touch.ClickedAt, at)
	case typeDelivered:
		t.note(&touch.DeliveredAt, at)
	case typeComplained:
		t.note(&touch.ComplainedAt, at)
	case typeBounced:
		t.bounced(touch, a.GetProperties()["bounce"], at)
	default:
		return
	}
	t.believe(touch, a.GetType())
}

// note keeps the first time something happened.
func (t *Turn) note(field **timestamppb.Timestamp, at *timestamppb.Timestamp) {
	if *field == nil {
		*field = at
		t.change(Told)
	}
}

// bounced notes that a mail came back. A bounce that does not say how is hard:
// that is how our own SMTP server's refusal is told.
func (t *Turn) bounced(touch *campaignv1.Touch, how string, at *timestamppb.Timestamp) {
	t.note(&touch.BouncedAt, at)
	if how != bounceSoft {
		how = bounceHard
	}
	if touch.Bounce != how && touch.Bounce != bounceHard {
		touch.Bounce = how
		t.change(Told)
	}
}

// believe settles an ambiguous touch by what others told about its mail,
// whichever of it came first: a mail that was delivered or read went out, one
// that only bounced did not. What the sender knows itself stands.
func (t *Turn) believe(touch *campaignv1.Touch, by string) {
	if touch.Status != campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS && !strings.HasPrefix(touch.Reason, told) {
		return
	}
	status, why := knownBy(touch)
	if status == campaignv1.TouchStatus_TOUCH_STATUS_UNSPECIFIED || status == touch.Status {
		return
	}
	if by == "" {
		by = why
	}
	t.correct(touch, &campaignv1.Outcome{Status: status, Reason: told + by})
}

// knownBy says what the marks of a touch prove about its mail, and which does.
func knownBy(touch *campaignv1.Touch) (campaignv1.TouchStatus, string) {
	for _, proof := range [...]struct {
		at  *timestamppb.Timestamp
		why string
	}{
		{touch.DeliveredAt, typeDelivered},
		{touch.OpenedAt, typeOpened},
		{touch.ClickedAt, typeClicked},
		{touch.ComplainedAt, typeComplained},
	} {
		if proof.at != nil {
			return campaignv1.TouchStatus_TOUCH_STATUS_SENT, proof.why
		}
	}
	if touch.BouncedAt != nil {
		return campaignv1.TouchStatus_TOUCH_STATUS_FAILED, typeBounced
	}
	return campaignv1.TouchStatus_TOUCH_STATUS_UNSPECIFIED, ""
}

// hadHappened reports whether the marks of a touch say that an awaited thing
// has happened.
func hadHappened(touch *campaignv1.Touch, event string) bool {
	switch event {
	case typeClicked:
		return touch.GetClickedAt() != nil
	case typeOpened:
		return touch.GetOpenedAt() != nil || touch.GetClickedAt() != nil
	case typeDelivered:
		return touch.GetDeliveredAt() != nil
	case typeBounced:
		return touch.GetBouncedAt() != nil
	case typeComplained:
		return touch.GetComplainedAt() != nil
	default:
		return false
	}
}
