package gate_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/gate"
)

func TestAConfirmationMailNeedsAnOpenRequestAndNoConsent(t *testing.T) {
	rules := gate.Rules{Transactional: true}
	waits := []*leadv1.Consent{{Purpose: "p", Pending: true, RequestedAt: second(5)}}
	email := &leadv1.Profile{Email: "ann@x.example"}
	left, bounced := leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED, leadv1.Suppression_SUPPRESSION_HARD_BOUNCE
	for name, c := range map[string]struct {
		lead *leadv1.Lead
		want gate.Reason
	}{
		"something waits":         {&leadv1.Lead{Profile: email, Consents: waits}, gate.Clear},
		"nothing waits":           {&leadv1.Lead{Profile: email}, gate.Answered},
		"no address":              {&leadv1.Lead{Consents: waits}, gate.NoEmail},
		"bounced":                 {&leadv1.Lead{Profile: email, Consents: waits, Suppression: bounced, SuppressedAt: second(1)}, gate.Suppressed},
		"left after asking":       {&leadv1.Lead{Profile: email, Consents: waits, Suppression: left, SuppressedAt: second(5)}, gate.Suppressed},
		"left, then asked again":  {&leadv1.Lead{Profile: email, Consents: waits, Suppression: left, SuppressedAt: second(4)}, gate.Clear},
		"complained, asked again": {&leadv1.Lead{Profile: email, Consents: waits, Suppression: leadv1.Suppression_SUPPRESSION_COMPLAINT, SuppressedAt: second(4)}, gate.Suppressed},
	} {
		if got := gate.Forbidden(rules, c.lead); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestTheGateSaysWhatIngestWorkedOut(t *testing.T) {
	lead := &leadv1.Lead{Profile: &leadv1.Profile{Email: "ann@x.example"}, Permissions: []*leadv1.Permission{
		{Purpose: "a", Allowed: true, Reason: "opt_out_basis"}, {Purpose: "b", Reason: "awaiting_confirmation"},
	}}
	for purpose, want := range map[string]gate.Reason{"a": gate.Clear, "b": "awaiting_confirmation", "c": gate.NoConsent} {
		if got := gate.Forbidden(gate.Rules{Purpose: purpose}, lead); got != want {
			t.Errorf("%s: %s, want %s", purpose, got, want)
		}
	}
}

func second(sec int64) *timestamppb.Timestamp { return timestamppb.New(time.Unix(sec, 0)) }
