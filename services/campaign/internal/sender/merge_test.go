package sender_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func TestAMailWhoseLeadIsMergedBetweenTheClaimAndTheSendDoesNotGoOut(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	o.meet("lead1")
	o.onLook = func(n int) {
		if n == 2 { // the look after the claim
			o.people["lead1"].LeadId, o.people["lead1"].MergedFrom = "lead2", []string{"lead1"}
		}
	}
	o.plan("lead1")
	o.sender(nil)
	o.wantSettled("lead1", skipped, "merged")
	if n := len(o.sink.took()); n != 0 {
		t.Errorf("%d mails went out", n)
	}
}

func TestASurvivorsMailWaitsUntilItIsKnownWhatTheOtherLeadGot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		sent   []string
		status campaignv1.TouchStatus
		reason string
	}{
		{"the same mail", []string{"welcome/hello"}, skipped, "sent_before_merge"},
		{"another one", []string{"welcome/nudge"}, sent, "accepted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, always(fine))
			o.meet("lead1")
			o.people["lead1"].MergedFrom = []string{"lead0"}
			o.onLook = func(n int) {
				if n == 2 { // the second try: by now the journey has taken over what the other one got
					s := o.states["lead1"]
					s.Ties = &leadv1.Ties{FromLeadIds: []string{"lead0"}}
					s.Taken = []*campaignv1.Taken{{LeadId: "lead0", At: timestamppb.Now(), Sent: c.sent}}
				}
			}
			o.plan("lead1")
			o.sender(nil)
			o.wantSettled("lead1", c.status, c.reason)
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.looks < 3 {
				t.Errorf("looked %d times: it did not wait", o.looks)
			}
		})
	}
}
